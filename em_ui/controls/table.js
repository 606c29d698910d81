// Numbers of several components: a row for each, in one table or two. What is typed goes to the
// server, which takes it or says why not; the button that copies links writes the address.

const PAUSE_MS = 300; // after an arrow key: another one may follow

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".components");
  const state = (parentElement.numbers ??= { waiting: {}, sent: 0 });
  // Until the server has heard of the last change, each goes along with the next.
  if (data.heard >= state.sent) Object.assign(state, { waiting: {}, sent: data.heard });

  const make = (tag, attributes, ...children) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...children);
    return element;
  };
  const head = (scope, textContent) => make("th", { scope, textContent });
  const field = (column, row) =>
    make("input", {
      type: "number",
      step: "any", // any number is allowed, and arrow keys go by the column's own step
      name: column.name + row.number,
      ariaLabel: `${column.head} ${row.head}`.trim(),
    });
  const table = ({ columns, rows }) =>
    make(
      "table",
      { ariaLabel: columns.map((column) => column.head).join(", ") },
      make("tr", {}, make("td"), ...columns.map((column) => head("col", column.head))),
      ...rows.map((row) => {
        const cells = columns.map((column, i) =>
          make("td", {}, ...(row.texts[i] ? [field(column, row)] : [])),
        );
        return make("tr", {}, row.head ? head("row", row.head) : make("td"), ...cells);
      }),
    );
  const shape = JSON.stringify(
    data.tables.map(({ columns, rows }) => [
      columns.map((column) => [column.name, column.head]),
      rows.map(({ number, head, texts }) => [number, head, texts.map(Boolean)]),
    ]),
  );
  if (state.shape !== shape) {
    state.shape = shape;
    const help = data.help ? [make("p", { textContent: data.help })] : [];
    root.replaceChildren(...data.tables.map(table), ...help);
    state.note = make("tr", {}, make("td", {}, make("span", { role: "alert", id: "note" })));
  }

  const commit = (input) => {
    clearTimeout(input.pause);
    if (input.value === input.last) return;
    input.last = state.waiting[input.name] = input.value;
    state.sent += 1;
    setTriggerValue("changes", { n: state.sent, values: state.waiting });
  };
  const step = (input, by) => {
    const next = Number((Number(input.value) + by).toPrecision(12)); // without digits of rounding
    input.value = Math.min(Math.max(next, input.min), input.max);
    clearTimeout(input.pause);
    input.pause = setTimeout(commit, PAUSE_MS, input);
  };
  const press = (event, input, column) => {
    const moves = {
      ArrowUp: () => step(input, column.step),
      ArrowDown: () => step(input, -column.step),
      Enter: () => commit(input),
      Escape: () => {
        input.value = input.shown;
        commit(input);
      },
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  };

  const focused = parentElement.activeElement;
  const wrong = [];
  for (const { columns, rows } of data.tables) {
    for (const { number, texts } of rows) {
      columns.forEach((column, i) => {
        const input = root.querySelector(`[name="${column.name}${number}"]`);
        if (!input) return;
        input.min = column.low;
        input.max = column.high;
        input.onkeydown = (event) => press(event, input, column);
        input.onchange = input.onblur = () => commit(input);
        input.onwheel = () => input.blur(); // which would change the number
        const text = state.waiting[input.name] ?? texts[i];
        const [typed, why] = data.refused?.[input.name] ?? [];
        const refused = typed === input.value && text === input.shown;
        const typing = input === focused && input.value !== input.last;
        if (!refused && !typing) input.value = input.last = text;
        if (!(input.name in state.waiting)) input.shown = text;
        input.ariaInvalid = refused;
        input.setAttribute("aria-describedby", refused ? "note" : "");
        if (refused) wrong.push([input, why]);
      });
    }
  }
  const cell = state.note.firstChild;
  cell.firstChild.textContent = wrong.map(([, why]) => why).join(" ");
  if (wrong.length) {
    const row = wrong.at(-1)[0].closest("tr");
    cell.colSpan = row.children.length;
    row.after(state.note);
  } else {
    state.note.remove();
  }
}
