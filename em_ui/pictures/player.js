// The iteration player. It holds no data of its own: every chart of the page that follows it has
// bound inputs named "iter" (whose parameters are drawn) and "assign" (whose responsibilities are
// drawn). The player sets them and fires "input", so a frame is drawn without the server.
//
// A position is a number of iterations. With half-steps, t + 0.5 is iteration t after the next
// E-step: new responsibilities, the same parameters; t + 1 is after its M-step: new parameters, the
// same responsibilities.

const FRAME_MS = { slow: 1500, normal: 700, fast: 200 };
const SETTLED_MS = 500; // at rest for so long, the visitor has stopped at an iteration
const remembered = new Map(); // page -> position, half-steps and rewinds, over page switches

export default function ({ data, parentElement, setTriggerValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const root = find(".player");
  const slider = find("[name=frame]");
  const speed = find("[name=speed]");
  const play = find("[name=play]");
  const halves = find("[name=halves]");
  const label = find(".label");
  const state = (parentElement.player ??= { path: location.pathname });

  const last = data.rows.length - 1;
  const linked = Number(new URLSearchParams(location.search).get(data.param)) || 0;
  const before = remembered.get(data.page) ?? {
    position: linked,
    halves: linked % 1 > 0,
    rewinds: data.rewinds,
  };
  // A new server process counts from 0 again: that is no rewind.
  const rewound = data.rewinds > before.rewinds;
  halves.checked = before.halves;
  let position = rewound ? 0 : before.position;

  const step = () => (halves.checked ? 0.5 : 1);
  const whole = (value) => (halves.checked ? Math.round(value * 2) / 2 : Math.floor(value));
  const iter = () => Math.floor(position);
  const assign = () =>
    halves.checked ? Math.max(0, Math.ceil(position) - 1) : position;

  const drive = () => {
    const values = { iter: iter(), assign: assign() };
    for (const [name, value] of Object.entries(values)) {
      for (const input of document.querySelectorAll(`.vega-bindings input[name="${name}"]`)) {
        if (Number(input.value) !== value) {
          input.value = value;
          input.dispatchEvent(new Event("input", { bubbles: true }));
        }
      }
    }
  };

  const words = () => {
    const t = iter();
    if (position === 0) return "Initial guess";
    if (position % 1) {
      return `${t === 0 ? "Initial guess" : `Iteration ${t} of ${last}`}, E-step done`;
    }
    return `Iteration ${t} of ${last}${halves.checked ? ", M-step done" : ""}`;
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
    if (address() && data.report) setTriggerValue("stopped", position);
  };
  const settleSoon = () => {
    clearTimeout(state.settling);
    if (!state.timer) state.settling = setTimeout(settle, SETTLED_MS);
  };

  const show = (next, { moved = true } = {}) => {
    position = Math.max(0, Math.min(whole(next), last));
    remembered.set(data.page, { position, halves: halves.checked, rewinds: data.rewinds });
    slider.value = position;
    slider.setAttribute("aria-valuetext", words());
    label.textContent = words();
    data.rows[iter()].forEach((text, i) => {
      find(".numbers").children[i].lastChild.textContent = text;
    });
    find("[name=first]").disabled = find("[name=back]").disabled = position === 0;
    find("[name=last]").disabled = find("[name=forward]").disabled = position === last;
    drive();
    if (moved) settleSoon();
  };

  const stop = () => {
    clearInterval(state.timer);
    state.timer = null;
    play.textContent = "Play";
    label.setAttribute("aria-live", "polite");
  };

  const start = () => {
    if (position === last) show(0);
    play.textContent = "Pause";
    label.setAttribute("aria-live", "off"); // a frame a moment is too much to be read out
    state.timer = setInterval(() => {
      if (position + step() >= last) stop();
      show(position + step());
    }, FRAME_MS[speed.value]);
  };

  const toggle = () => {
    if (last === 0) return;
    if (state.timer) {
      stop();
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
  slider.disabled = play.disabled = last === 0;
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

  if (state.timer) stop();
  if (rewound) {
    clearTimeout(state.settling);
    state.settling = null;
    address(); // where the old position may have been written anew in the meantime
  }
  show(position, { moved: false });

  // Charts are drawn, and drawn anew after a rerun, later than the player: hand them the position.
  state.observer?.disconnect();
  // A rerun may also write an older position to the address.
  state.observer = new MutationObserver(() => {
    drive();
    if (position > 0 && !state.timer && !state.settling) address();
  });
  state.observer.observe(document.body, { childList: true, subtree: true });

  return () => {
    clearInterval(state.timer);
    clearTimeout(state.settling);
    state.observer?.disconnect();
  };
}
