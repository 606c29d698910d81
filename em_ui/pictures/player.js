// The iteration player. It holds no data of its own: every chart of the page that follows it has a
// bound input, which holds the iteration whose parameters are drawn and that whose responsibilities
// are drawn. The player sets it and fires "input", so a frame is drawn without the server.
//
// A position is a number of iterations. With half-steps, t + 0.5 is iteration t after the next
// E-step: new responsibilities, the same parameters; t + 1 is after its M-step: new parameters, the
// same responsibilities.
//
// What tells the end of the run comes from the server once the player has been there, which it hears
// once.
//
// Charts out of sight are not drawn: they get the position when they come into view, and before the
// page is printed.

const FRAME_MS = { slow: 1500, normal: 700, fast: 200 };
const SETTLED_MS = 500; // at rest for so long, the visitor has stopped at an iteration
// From one iteration to the next, charts that draw what lies between stand here on their way. Each of
// these frames costs as much as a step.
const GLIDE = [0.3, 0.75];
const GLIDE_MS = 70; // at each
const SLACK = 4; // pixels by which a formula may stand out, with nothing to be seen there
const NEAR = "200px"; // of the window's edge, a chart counts as in view
const SQUARE = 20; // pixels, of what is drawn anew
const FEW = 0.4; // of all squares: beyond, to draw them all costs less
const SMOOTH = 2; // pixels around what is drawn
// Where there is less room than this, the player is one row.
const SLIM_WIDTH = 640;
const SLIM_HEIGHT = 480;
// page -> what stays over page switches: the position that was chosen (Infinity is the end, however
// long the run), whether the end was reached, half-steps, and rewinds.
const remembered = new Map();

// Streamlit hands out no view of a chart. Its components keep it, and React leaves a way to them; a
// browser test watches that it is there. Without it steps are as right, and slower.
const viewOf = (chart) => {
  const way = Object.keys(chart).find((key) => key.startsWith("__reactFiber"));
  for (let fiber = chart[way]; fiber; fiber = fiber.return) {
    for (let hook = fiber.memoizedState; hook && typeof hook === "object"; hook = hook.next) {
      if (hook.memoizedState?.current?.scenegraph) return hook.memoizedState.current;
    }
  }
};

// Where something moves on a canvas, Vega draws anew the smallest rectangle around all that moves,
// with each of the points that lie there. Here it is the squares in which something moves, unless
// they are many.
class Squares {
  constructor({ _width, _height, _origin }) {
    [this.left, this.top] = _origin;
    this.columns = Math.ceil(_width / SQUARE);
    this.rows = Math.ceil(_height / SQUARE);
    this.moved = new Uint8Array(this.columns * this.rows);
    this.room = FEW * this.moved.length; // for more of them
  }

  // Call this with each square that bounds reach, until it returns true.
  some({ x1, y1, x2, y2 }, more, call) {
    const left = Math.max(0, Math.floor((x1 + this.left - more) / SQUARE));
    const right = Math.min(this.columns - 1, Math.floor((x2 + this.left + more) / SQUARE));
    const top = Math.max(0, Math.floor((y1 + this.top - more) / SQUARE));
    const bottom = Math.min(this.rows - 1, Math.floor((y2 + this.top + more) / SQUARE));
    for (let row = top; row <= bottom; row++) {
      const end = row * this.columns + right;
      for (let at = row * this.columns + left; at <= end; at++) if (call(at)) return true;
    }
    return false;
  }

  add(bounds) {
    this.some(bounds, SMOOTH, (at) => {
      this.room -= 1 - this.moved[at];
      this.moved[at] = 1;
      return this.room < 0;
    });
  }

  // What Vega asks of bounds when it draws.
  intersects(bounds) {
    return this.some(bounds, 0, (at) => this.moved[at]);
  }

  translate(x, y) {
    this.left -= x;
    this.top -= y;
    return this;
  }

  clip(context) {
    context.beginPath();
    for (let row = 0, at = 0; row < this.rows; row++) {
      for (let column = 0; column < this.columns; column++, at++) {
        const from = column;
        for (; column < this.columns && this.moved[at]; column++) at++;
        const place = [from * SQUARE - this.left, row * SQUARE - this.top];
        if (column > from) context.rect(...place, (column - from) * SQUARE, SQUARE);
        if (column === this.columns) at--;
      }
    }
    context.clip();
  }
}

const spared = new WeakSet(); // renderers
// What of Vega's own this leans on: without it, all is drawn as Vega does.
const OF_VEGA = ["context", "dirty", "clear", "draw", "_dirty", "_render", "_tempb", "_origin"];
const drawLess = (chart) => {
  const renderer = viewOf(chart)?._renderer;
  if (!renderer || spared.has(renderer) || OF_VEGA.some((name) => !(name in renderer))) return;
  spared.add(renderer);
  const { dirty, clear, draw, _render } = renderer;
  let [squares, drawn] = [null, null];
  renderer.dirty = function (item) {
    dirty.call(this, item);
    squares ??= new Squares(this);
    if (squares.room < 0 || item.bounds.empty()) return;
    // Vega has left here where the item stands, in the picture.
    squares.add(this._tempb);
  };
  renderer._render = function (...rest) {
    // Squares have to end where pixels do.
    const whole = this._redraw || (SQUARE * this.context().pixelRatio) % 1;
    drawn = whole || squares?.room < 0 ? null : squares;
    squares = null;
    return _render.apply(this, rest);
  };
  renderer.clear = function (...rest) {
    drawn?.clip(this.context());
    clear.apply(this, rest);
  };
  renderer.draw = function (context, mark, bounds, ...rest) {
    draw.call(this, context, mark, drawn ?? bounds, ...rest);
  };
};

// New words in the place of others cost less than a new node, and the same words nothing.
const write = (place, text) => {
  if (!place.firstChild) place.textContent = text;
  else if (place.firstChild.data !== text) place.firstChild.data = text;
};

export default function ({ data, parentElement, setTriggerValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const root = find(".player");
  const numbers = find(".numbers");
  const slider = find("[name=frame]");
  const speed = find("[name=speed]");
  const play = find("[name=play]");
  const more = find("[name=more]");
  const halves = find("[name=halves]");
  const label = find(".label");
  const state = (parentElement.player ??= {
    path: location.pathname,
    alts: new WeakMap(), // chart -> what it says without the player, and with it
  });

  // Settings that cannot be run leave it in its place, and it waits for others.
  const idle = data.rows.length === 0;
  for (const control of root.querySelectorAll("button, input, select")) control.disabled = idle;
  root.classList.toggle("idle", idle);

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
  // Before the first E-step nothing is assigned: -1.
  const assign = () => (halves.checked ? Math.ceil(position) - 1 : position || -1);

  const bound = `.${data.inputs.bindings} input[name="${data.inputs.name}"]`;
  const charts = () =>
    [...document.querySelectorAll(bound)].map((field) =>
      field.closest("[data-testid=stVegaLiteChart]"),
    );
  const drive = (chart) => {
    const field = chart.querySelector(bound);
    if (!field) return;
    const shown = state.glide && glides(chart) ? state.glide : { at: iter(), assign: assign() };
    const before = field.value;
    // The input brings it into its range, and to its step.
    field.value = data.inputs.places * (shown.assign - data.inputs.before) + shown.at;
    if (field.value === before) return;
    drawLess(chart);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const driveSeen = () => {
    for (const chart of charts()) if (state.seen.get(chart)) drive(chart);
  };

  // A step moves what can lie between two iterations. It sets out at once, and waits by the clock: to
  // ask for an animation frame has the browser draw one.
  const glides = (chart) => Number(chart.querySelector(bound)?.step) % 1 > 0;
  const land = () => {
    clearTimeout(state.glide?.timer);
    state.glide = null;
  };
  const glide = (from, colours) => {
    land();
    const to = iter();
    if (Math.abs(to - from) !== 1 || !charts().some((c) => state.seen.get(c) && glides(c))) return;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    // Colours follow the parameters that they come from.
    const flight = { assign: to > from ? colours : assign() };
    const fly = (way) => {
      if (way === GLIDE.length) land();
      else {
        flight.at = from + (to - from) * GLIDE[way];
        flight.timer = setTimeout(() => {
          fly(way + 1);
          driveSeen();
        }, GLIDE_MS);
      }
    };
    state.glide = flight;
    fly(0);
  };

  const words = () => {
    const t = iter();
    // How long the run is, is for those to know who have played it.
    const place = t === 0 ? "Initial guess" : `Iteration ${t}${seen ? ` of ${last}` : ""}`;
    // The E-step that follows iteration t is the first half of the next.
    if (position % 1) return `Iteration ${t + 1}${seen ? ` of ${last}` : ""}, E-step done`;
    return halves.checked && t > 0 ? `${place}, M-step done` : place;
  };

  // Names and numbers, the objective last: between the steps, that of the step that was taken.
  const readout = () => {
    const t = iter();
    const items = data.columns.map((name, i) => [name, data.rows[t][i]]);
    const between = halves.checked && position % 1 === 0 && t > 0 && data.between?.[t];
    if (between) items[items.length - 1] = [`${data.columns.at(-1)} after the M-step`, between];
    return items;
  };

  // The status line hears where the player stands, and so do the names of the charts.
  const tell = () => {
    const ended = position === last;
    const objective = readout().at(-1).join(" ");
    const playing = Boolean(state.timer);
    const detail = { page: data.page, words: words(), objective, ended, playing };
    document.body.playerStands = detail;
    document.dispatchEvent(new CustomEvent("player-stands", { detail }));
    if (!playing) charts().forEach(describe);
  };
  const describe = (chart) => {
    const label = chart.getAttribute("aria-label") ?? "";
    const known = state.alts.get(chart);
    // The server writes another when the data change.
    const alt = known?.said === label ? known.alt : label;
    const standing = readout().map((item) => item.join(" "));
    const said = `${alt.replace(/\.?$/, ".")} ${words()}. ${standing.join(", ")}.`;
    state.alts.set(chart, { alt, said });
    if (said !== label) chart.setAttribute("aria-label", said);
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
    const control = find(`[name=${name}]`);
    if (control.ariaDisabled !== `${off}`) control.ariaDisabled = off;
  };
  const show = (next, { moved = true, slide = false } = {}) => {
    const [from, colours] = [iter(), assign()];
    position = Math.max(0, Math.min(whole(next), last));
    if (moved) chosen = last > 0 && position === last ? Infinity : position;
    const first = !seen;
    seen ||= last > 0 && position === last;
    if (seen && first && !data.seen) setTriggerValue("ended", true);
    remembered.set(data.page, { chosen, seen, halves: halves.checked, rewinds: data.rewinds });
    slider.value = position;
    slider.setAttribute("aria-valuetext", words());
    label.className = `label ${halves.checked ? "half" : seen ? "whole" : ""}`;
    write(label.firstChild, words());
    readout().forEach(([name, text], i) => {
      write(numbers.children[i].firstChild, name);
      write(numbers.children[i].lastChild, text);
    });
    for (const name of ["first", "back"]) inert(name, position === 0);
    for (const name of ["last", "forward"]) inert(name, position === last);
    land();
    if (slide) glide(from, colours);
    driveSeen();
    tell();
    if (moved) settleSoon();
  };

  const stop = () => {
    clearInterval(state.timer);
    state.timer = null;
    write(play, "Play");
  };

  const start = () => {
    if (position === last) show(0);
    write(play, "Pause");
    state.timer = setInterval(() => {
      if (position + step() >= last) stop();
      show(position + step(), { slide: true });
    }, FRAME_MS[speed.value]);
    tell();
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

  const jump = (next, how) => {
    stop();
    show(next, how);
  };
  const walk = (by) => jump(position + by * step(), { slide: true });

  numbers.replaceChildren(
    ...data.columns.map((_, i) => {
      const item = document.createElement("div");
      item.append(document.createElement("dt"), " ", document.createElement("dd"));
      const texts = [...data.rows.map((row) => row[i]), ...(data.between ?? [])];
      item.lastChild.style.width = `${Math.max(0, ...texts.map((text) => text?.length ?? 0))}ch`;
      return item;
    }),
  );
  slider.max = Math.max(last, 0);
  slider.step = step();
  for (const name of ["frame", "play"]) inert(name, last <= 0);
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
  find("[name=back]").onclick = () => walk(-1);
  find("[name=forward]").onclick = () => walk(1);
  find("[name=last]").onclick = () => jump(last);
  root.onkeydown = (event) => {
    if (event.target === speed || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.localName === "button") return;
    if (event.key === " " && event.target === halves) return;
    const moves = {
      " ": toggle,
      ArrowRight: () => walk(1),
      ArrowLeft: () => walk(-1),
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
  state.resizing?.disconnect();
  state.resizing = new ResizeObserver(fit);
  state.resizing.observe(root);
  fit();

  // The first thing that the keyboard reaches.
  if (!state.skip) {
    parentElement.host.id = "player";
    state.skip = document.createElement("a");
    state.skip.href = "#player";
    state.skip.className = "skip-to-player";
    state.skip.textContent = "Skip to the player";
    state.skip.onclick = (event) => {
      event.preventDefault();
      find("[name=play]").focus();
    };
    document.body.prepend(state.skip);
  }
  state.skip.hidden = idle;

  if (state.timer) stop();
  land();
  const pending = state.settling;
  clearTimeout(pending);
  state.settling = null;
  state.observer?.disconnect();
  state.sight?.disconnect();
  state.names?.disconnect();
  state.seen = new WeakMap(); // chart -> whether it is in view
  if (idle) {
    write(label.firstChild, "Nothing to play");
  } else {
    if (rewound) root.closest("[data-testid=stMain]")?.scrollTo({ top: 0 }); // to the question
    if (rewound) address(); // where the old position may have been written anew in the meantime
    show(chosen, { moved: false });
    // A new server process has not heard of it.
    if (before.seen && seen && !data.seen) setTriggerValue("ended", true);
    // The run may have another length, or the server may not know what stayed here.
    if (!rewound && (pending || linked() !== position)) settleSoon();
    watch();
  }

  // Charts are drawn, and drawn anew after a rerun, later than the player: hand them the position.
  function watch() {
    state.sight = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) state.seen.set(target, isIntersecting);
        driveSeen();
      },
      { scrollMargin: NEAR },
    );
    state.names = new MutationObserver((changes) => {
      if (!state.timer) changes.forEach(({ target }) => describe(target));
    });
    const look = () => {
      for (const chart of charts().filter((each) => !state.seen.has(each))) {
        state.seen.set(chart, false);
        state.sight.observe(chart);
        state.names.observe(chart, { attributeFilter: ["aria-label"] });
        if (!state.timer) describe(chart);
      }
      driveSeen();
      // Streamlit's sections are no headings.
      for (const title of document.querySelectorAll("summary [data-testid=stMarkdownContainer]")) {
        title.role = "heading";
        title.ariaLevel = 2;
      }
      // What scrolls has to be reached.
      for (const box of document.querySelectorAll(".katex-display, [data-testid=stCode] pre")) {
        if (box.scrollWidth > box.clientWidth + SLACK) box.tabIndex = 0;
        else box.removeAttribute("tabindex");
      }
    };
    const drawn = ({ target }) => target.closest(`svg, .${data.inputs.bindings}`);
    state.observer = new MutationObserver((changes) => {
      if (changes.every(drawn)) return; // which is what the charts draw
      look();
      // A rerun may also write an older position to the address.
      if (position > 0 && !state.timer && !state.settling) address();
    });
    state.observer.observe(document.body, { childList: true, subtree: true });
    look();
  }

  const listen = (target, name, listener) => {
    target.removeEventListener(name, state[name]);
    target.addEventListener(name, (state[name] = listener));
  };
  // Whoever copies a link wants it as it is now.
  listen(document, "player-name-your-place", () => {
    clearTimeout(state.settling);
    if (state.settling) settle();
  });
  listen(window, "beforeprint", () => {
    land();
    charts().forEach(drive);
  });
  listen(window, "resize", fit);

  return () => {
    document.removeEventListener("player-name-your-place", state["player-name-your-place"]);
    for (const name of ["beforeprint", "resize"]) window.removeEventListener(name, state[name]);
    clearInterval(state.timer);
    clearTimeout(state.settling);
    land();
    for (const watcher of ["observer", "sight", "names", "resizing"]) state[watcher]?.disconnect();
    state.skip.remove();
  };
}
