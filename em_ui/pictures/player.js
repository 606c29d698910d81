// The iteration player. It holds no data of its own: every chart of the page that follows it has
// bound inputs, one for the iteration whose parameters are drawn and one for that whose
// responsibilities are drawn. The player sets them and fires "input", so a frame is drawn without
// the server.
//
// A position is a number of iterations. With half-steps, t + 0.5 is iteration t after the next
// E-step: new responsibilities, the same parameters; t + 1 is after its M-step: new parameters, the
// same responsibilities.
//
// What tells the end of the run comes from the server once the player has been there, which it hears
// once.

const FRAME_MS = { slow: 1500, normal: 700, fast: 200 };
const SETTLED_MS = 500; // at rest for so long, the visitor has stopped at an iteration
// Where there is less room than this, the player is one row.
const SLIM_WIDTH = 640;
const SLIM_HEIGHT = 480;
// page -> what stays over page switches: the position that was chosen (Infinity is the end, however
// long the run), whether the end was reached, half-steps, and rewinds.
const remembered = new Map();

export default function ({ data, parentElement, setTriggerValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const root = find(".player");
  const slider = find("[name=frame]");
  const speed = find("[name=speed]");
  const play = find("[name=play]");
  const more = find("[name=more]");
  const halves = find("[name=halves]");
  const label = find(".label");
  const state = (parentElement.player ??= { path: location.pathname });

  const last = data.rows.length - 1;
  const linked = () => Number(new URLSearchParams(location.search).get(data.param)) || 0;
  const before = remembered.get(data.page) ?? {
    chosen: last > 0 && linked() >= last ? Infinity : linked(),
    halves: linked() % 1 > 0,
    rewinds: data.rewinds,
    seen: false,
  };
  // A new server process counts from 0 again: that is no rewind.
  const rewound = data.rewinds > before.rewinds;
  let chosen = rewound ? 0 : before.chosen;
  let seen = !rewound && before.seen;
  let position = 0;
  halves.checked = before.halves;

  const step = () => (halves.checked ? 0.5 : 1);
  const whole = (value) => (halves.checked ? Math.round(value * 2) / 2 : Math.floor(value));
  const iter = () => Math.floor(position);
  const assign = () =>
    halves.checked ? Math.max(0, Math.ceil(position) - 1) : position;

  const drive = () => {
    const values = { [data.inputs.iteration]: iter(), [data.inputs.assignment]: assign() };
    for (const [name, value] of Object.entries(values)) {
      const selector = `.${data.inputs.bindings} input[name="${name}"]`;
      for (const input of document.querySelectorAll(selector)) {
        if (Number(input.value) !== value) {
          input.value = value;
          input.dispatchEvent(new Event("input", { bubbles: true }));
        }
      }
    }
  };

  const words = () => {
    const t = iter();
    // How long the run is, is for those to know who have played it.
    const place = t === 0 ? "Initial guess" : `Iteration ${t}${seen ? ` of ${last}` : ""}`;
    if (position % 1) return `${place}, E-step done`;
    return halves.checked && t > 0 ? `${place}, M-step done` : place;
  };

  // The status line hears where the player stands.
  const tell = () => {
    const ended = position === last;
    const objective = `${data.columns.at(-1)} ${data.rows[iter()].at(-1)}`;
    const playing = Boolean(state.timer);
    const detail = { page: data.page, words: words(), objective, ended, playing };
    document.body.playerStands = detail;
    document.dispatchEvent(new CustomEvent("player-stands", { detail }));
  };

  // At rest, the address names the position, so that a copied link reopens here. The server hears
  // of it only if a section on the page shows this iteration's numbers.
  const address = () => {
    const url = new URL(location.href);
    if (url.pathname !== state.path) return false; // the visitor is on the way to another page
    if ((url.searchParams.get(data.param) ?? "0") === String(position)) return false;
    if (position === 0) url.searchParams.delete(data.param);
    else url.searchParams.set(data.param, position);
    history.replaceState(history.state, "", url);
    return true;
  };
  const settle = () => {
    state.settling = null;
    // The server takes a position behind the end of the run for the end.
    const known = Math.min(linked(), last) === position;
    if (address() && data.report && !known) setTriggerValue("stopped", position);
  };
  const settleSoon = () => {
    clearTimeout(state.settling);
    if (!state.timer) state.settling = setTimeout(settle, SETTLED_MS);
  };

  const inert = (name, off) => {
    // Not disabled: that would take the focus away, and with it the keyboard.
    find(`[name=${name}]`).setAttribute("aria-disabled", off);
  };
  const show = (next, { moved = true } = {}) => {
    position = Math.max(0, Math.min(whole(next), last));
    if (moved) chosen = last > 0 && position === last ? Infinity : position;
    const first = !seen;
    seen ||= last > 0 && position === last;
    if (seen && first && !data.seen) setTriggerValue("ended", true);
    remembered.set(data.page, { chosen, seen, halves: halves.checked, rewinds: data.rewinds });
    slider.value = position;
    slider.setAttribute("aria-valuetext", words());
    label.textContent = words();
    data.rows[iter()].forEach((text, i) => {
      find(".numbers").children[i].lastChild.textContent = text;
    });
    for (const name of ["first", "back"]) inert(name, position === 0);
    for (const name of ["last", "forward"]) inert(name, position === last);
    drive();
    tell();
    if (moved) settleSoon();
  };

  const stop = () => {
    clearInterval(state.timer);
    state.timer = null;
    play.textContent = "Play";
  };

  const start = () => {
    if (position === last) show(0);
    play.textContent = "Pause";
    state.timer = setInterval(() => {
      if (position + step() >= last) stop();
      show(position + step());
    }, FRAME_MS[speed.value]);
  };

  const toggle = () => {
    if (last === 0) return;
    if (state.timer) {
      stop();
      tell();
      settleSoon();
    } else {
      start();
    }
  };

  const jump = (next) => {
    stop();
    show(next);
  };

  find(".numbers").replaceChildren(
    ...data.columns.map((name) => {
      const item = document.createElement("span");
      const term = document.createElement("span");
      const value = document.createElement("b");
      term.textContent = name;
      item.append(term, value);
      return item;
    }),
  );
  slider.max = last;
  slider.step = step();
  for (const name of ["frame", "play"]) inert(name, last === 0);
  slider.oninput = () => jump(Number(slider.value));
  play.onclick = toggle;
  speed.onchange = () => {
    if (state.timer) {
      stop();
      start();
    }
  };
  halves.onchange = () => {
    slider.step = step();
    jump(position);
  };
  more.onclick = () => {
    more.setAttribute("aria-expanded", root.classList.toggle("open"));
  };
  find("[name=first]").onclick = () => jump(0);
  find("[name=back]").onclick = () => jump(position - step());
  find("[name=forward]").onclick = () => jump(position + step());
  find("[name=last]").onclick = () => jump(last);
  root.onkeydown = (event) => {
    if (event.target === speed || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.localName === "button") return;
    if (event.key === " " && event.target === halves) return;
    const moves = {
      " ": toggle,
      ArrowRight: () => jump(position + step()),
      ArrowLeft: () => jump(position - step()),
      Home: () => jump(0),
      End: () => jump(last),
    };
    if (moves[event.key]) {
      event.preventDefault();
      moves[event.key]();
    }
  };

  const fit = () => {
    const little = root.clientWidth < SLIM_WIDTH || innerHeight < SLIM_HEIGHT;
    root.classList.toggle("slim", little);
  };
  state.resize?.disconnect();
  state.resize = new ResizeObserver(fit);
  state.resize.observe(root);
  window.removeEventListener("resize", state.fit);
  window.addEventListener("resize", fit);
  state.fit = fit;
  fit();

  if (state.timer) stop();
  const pending = state.settling;
  clearTimeout(pending);
  state.settling = null;
  if (rewound) address(); // where the old position may have been written anew in the meantime
  show(chosen, { moved: false });
  // A new server process has not heard of it.
  if (before.seen && seen && !data.seen) setTriggerValue("ended", true);
  // The run may have another length, or the server may not know what stayed here.
  if (!rewound && (pending || linked() !== position)) settleSoon();

  // Charts are drawn, and drawn anew after a rerun, later than the player: hand them the position.
  state.observer?.disconnect();
  // A rerun may also write an older position to the address.
  state.observer = new MutationObserver(() => {
    drive();
    if (position > 0 && !state.timer && !state.settling) address();
  });
  state.observer.observe(document.body, { childList: true, subtree: true });

  // Whoever copies a link wants it as it is now.
  document.removeEventListener("player-name-your-place", state.hurry);
  state.hurry = () => {
    clearTimeout(state.settling);
    if (state.settling) settle();
  };
  document.addEventListener("player-name-your-place", state.hurry);

  return () => {
    document.removeEventListener("player-name-your-place", state.hurry);
    clearInterval(state.timer);
    clearTimeout(state.settling);
    state.observer?.disconnect();
    state.resize?.disconnect();
    window.removeEventListener("resize", state.fit);
  };
}
