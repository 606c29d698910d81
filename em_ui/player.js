// The iteration player. It holds no data of its own: every chart in the surrounding container has
// bound inputs named "iter" (whose parameters are drawn) and "assign" (whose responsibilities are
// drawn). The player sets them and fires "input", so a frame is drawn without the server.

const FRAME_MS = { slow: 1200, normal: 600, fast: 200 };
const remembered = new Map(); // player key -> frame, kept while the visitor is on other pages

export default function ({ data, parentElement }) {
  const find = (selector) => parentElement.querySelector(selector);
  const host = parentElement.host ?? parentElement;
  const container = host.closest(`.st-key-${data.container}`);
  const slider = find("[name=frame]");
  const speed = find("[name=speed]");
  const play = find("[name=play]");
  const state = (parentElement.player ??= { timer: null, observer: null });

  const lastFrame = data.rows.length - 1;
  let frame = Math.min(remembered.get(data.container) ?? 0, lastFrame);

  const drive = (scope) => {
    for (const input of scope.querySelectorAll(
      '.vega-bindings input[name="iter"], .vega-bindings input[name="assign"]',
    )) {
      if (Number(input.value) !== frame) {
        input.value = frame;
        input.dispatchEvent(new Event("input", { bubbles: true }));
      }
    }
  };

  const show = (next) => {
    frame = Math.max(0, Math.min(next, lastFrame));
    remembered.set(data.container, frame);
    const label = frame === 0 ? "Initial guess" : `Iteration ${frame} of ${lastFrame}`;
    slider.value = frame;
    slider.setAttribute("aria-valuetext", label);
    find(".label").textContent = label;
    data.rows[frame].forEach((text, i) => {
      find(".numbers").children[i].lastChild.textContent = text;
    });
    find("[name=first]").disabled = find("[name=back]").disabled = frame === 0;
    find("[name=last]").disabled = find("[name=forward]").disabled = frame === lastFrame;
    if (container) drive(container);
  };

  const stop = () => {
    clearInterval(state.timer);
    state.timer = null;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };

  const start = () => {
    if (frame === lastFrame) show(0);
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    state.timer = setInterval(() => {
      show(frame + 1);
      if (frame === lastFrame) stop();
    }, FRAME_MS[speed.value]);
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
  slider.max = lastFrame;
  slider.disabled = play.disabled = lastFrame === 0;
  slider.oninput = () => jump(Number(slider.value));
  play.onclick = () => (state.timer ? stop() : start());
  speed.onchange = () => {
    if (state.timer) {
      stop();
      start();
    }
  };
  find("[name=first]").onclick = () => jump(0);
  find("[name=back]").onclick = () => jump(frame - 1);
  find("[name=forward]").onclick = () => jump(frame + 1);
  find("[name=last]").onclick = () => jump(lastFrame);

  stop();
  show(frame);

  // Charts are drawn, and drawn anew after a rerun, later than the player: hand them the frame.
  state.observer?.disconnect();
  if (container) {
    state.observer = new MutationObserver(() => drive(container));
    state.observer.observe(container, { childList: true, subtree: true });
  }

  return () => {
    clearInterval(state.timer);
    state.observer?.disconnect();
  };
}
