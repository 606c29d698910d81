// A recorded run of EM. Frame 0 is the initial guess; 2t - 1 follows the E-step of iteration t, with
// the shares under the curves of before, and 2t its M-step, with the curves from those shares.
const REST_MS = 1000; // at each frame
const MOVE_MS = 500; // from one to the next
const END_MS = 4000;
const SVG = "http://www.w3.org/2000/svg";
const [WIDE, FLOOR, TOP] = [640, 214, 24];

export default function ({ data, parentElement }) {
  const find = (selector) => parentElement.querySelector(selector);
  const all = (selector) => [...parentElement.querySelectorAll(selector)];
  const root = find(".mini");
  const picture = find("svg");
  const play = find("[name=play]");
  const say = find(".say");
  const { low, bin, counts, steps } = data;
  const last = 2 * (steps.length - 1);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const n = counts.reduce((sum, count) => sum + count);

  const density = (x, mean, std) =>
    Math.exp(-(((x - mean) / std) ** 2) / 2) / (std * Math.sqrt(2 * Math.PI));
  // A curve's height is the number of values that it expects in a bar there.
  const expected = ([means, stds, weights], k, x) =>
    n * bin * weights[k] * density(x, means[k], stds[k]);
  const tops = steps.flatMap((step) => [0, 1].map((k) => expected(step, k, step[0][k])));
  const highest = Math.max(...counts, ...tops);
  const px = (x) => (((x - low) / bin) * WIDE) / counts.length;
  const py = (y) => FLOOR - ((FLOOR - TOP) * y) / highest;

  const bars = (from, to) =>
    counts
      .map((count, i) => {
        const [bottom, top] = [py(count * from(i)), py(count * to(i))];
        const left = px(low + i * bin) + 0.5;
        return top < bottom ? `M${left} ${bottom}V${top}h${WIDE / counts.length - 1}V${bottom}z` : "";
      })
      .join("");
  const curve = (step, k) => {
    const points = [];
    for (let z = -4; z <= 4; z += 0.1) {
      const x = step[0][k] + z * step[1][k];
      points.push(`${px(x).toFixed(1)} ${py(expected(step, k, x)).toFixed(1)}`);
    }
    return `M${points.join("L")}`;
  };
  const between = (from, to, done) =>
    Array.isArray(from)
      ? from.map((value, i) => between(value, to[i], done))
      : from + (to - from) * done;

  const shown = (frame) => ({
    curves: steps[Math.floor(frame / 2)].slice(0, 3),
    shares: steps[Math.max(0, Math.ceil(frame / 2) - 1)][4],
    coloured: frame > 0 ? 1 : 0,
  });
  const draw = ({ curves, shares, coloured }) => {
    find(".shared").style.opacity = coloured;
    const [a, b] = find(".shared").children;
    a.setAttribute("d", bars(() => 0, (i) => shares[i] / 100));
    b.setAttribute("d", bars((i) => shares[i] / 100, () => 1));
    for (const k of [0, 1]) {
      const line = curve(curves, k);
      for (const path of [".halo", ".curve"]) all(path)[k].setAttribute("d", line);
      const mean = curves[0][k];
      all(".name")[k].setAttribute("x", px(mean));
      all(".name")[k].setAttribute("y", py(expected(curves, k, mean)) - 7);
    }
  };

  const words = (frame) => {
    if (frame === 0) return ["Initial guess:", "two curves, A and B, and values without labels."];
    if (frame % 2) {
      return ["E-step: share each value", "between A and B, by how probable it is to be of each."];
    }
    const end = frame === last ? ` ${data.end}` : "";
    return ["M-step: move the curves,", `each to the mean, spread and size of its share.${end}`];
  };
  const tell = (frame) => {
    const [centres, , , fit] = steps[Math.floor(frame / 2)];
    const means = centres.map((mean) => mean.toFixed(2));
    const [now, why] = words(frame);
    const iteration = Math.ceil(frame / 2);
    const at = frame ? `Iteration ${iteration}, after the ${frame % 2 ? "E" : "M"}-step` : "Initial guess";
    find(".now").textContent = now;
    find(".why").textContent = why;
    find(".e").classList.toggle("on", frame % 2 === 1);
    find(".m").classList.toggle("on", frame > 0 && frame % 2 === 0);
    find(".iteration").textContent = iteration;
    all(".mean").forEach((box, k) => (box.textContent = means[k]));
    find(".fit").textContent = fit.toFixed(2).replace("-", "−");
    picture.setAttribute(
      "aria-label",
      `${at}. Bars count ${n} values. Curve A has its mean at ${means[0]}, curve B at ${means[1]}. ` +
        (frame ? "Each bar is divided between them: A's part plain, B's hatched." : "No value is shared yet."),
    );
    const colors = getComputedStyle(root).getPropertyValue("--st-chart-categorical-colors").split(",");
    root.style.setProperty("--a", colors[0]);
    root.style.setProperty("--b", colors[1]);
  };

  // Streamlit calls this again when the theme changes: it goes on from where it stood. At rest it
  // shows the end, where the curves fit.
  const state = (parentElement.mini ??= still.matches
    ? { frame: last, playing: false }
    : { frame: 0, playing: true });
  let [timer, motion] = [null, null];
  let seen = true;

  const halt = () => {
    clearTimeout(timer);
    cancelAnimationFrame(motion);
    timer = motion = null;
  };
  const show = (next) => {
    const before = shown(state.frame);
    const slides = next > state.frame && !still.matches;
    state.frame = next;
    tell(next);
    const after = shown(next);
    if (!slides) return draw(after);
    let start = null;
    // Shares move in an E-step, but for the first, which colours the bars; curves in an M-step.
    if (!before.coloured) before.shares = after.shares;
    const slide = (now) => {
      start ??= now;
      const done = Math.min((now - start) / MOVE_MS, 1);
      const eased = done * done * (3 - 2 * done);
      draw({
        curves: between(before.curves, after.curves, eased),
        shares: between(before.shares, after.shares, eased),
        coloured: between(before.coloured, after.coloured, eased),
      });
      if (done < 1) motion = requestAnimationFrame(slide);
    };
    motion = requestAnimationFrame(slide);
  };
  const next = () => (state.frame === last ? 0 : state.frame + 1);
  const tick = () => {
    show(next());
    timer = setTimeout(tick, state.frame === last ? END_MS : REST_MS + MOVE_MS);
  };
  // Nothing moves where nobody looks.
  const resume = () => {
    halt();
    draw(shown(state.frame));
    play.textContent = state.playing ? "Pause" : "Play";
    say.setAttribute("aria-live", state.playing ? "off" : "polite");
    if (state.playing && seen && !document.hidden) timer = setTimeout(tick, REST_MS);
  };

  play.onclick = () => {
    state.playing = !state.playing;
    resume();
  };
  find("[name=step]").onclick = () => {
    state.playing = false;
    resume();
    show(next());
  };

  const ticks = [];
  for (let x = Math.ceil(low / 10) * 10; x < low + bin * counts.length; x += 10) {
    const tick = document.createElementNS(SVG, "text");
    tick.setAttribute("x", px(x));
    tick.setAttribute("y", FLOOR + 22);
    tick.textContent = x;
    ticks.push(tick);
  }
  find(".ticks").replaceChildren(...ticks);
  find(".bars").setAttribute("d", bars(() => 0, () => 1));
  tell(state.frame);
  resume();

  const watcher = new IntersectionObserver((entries) => {
    seen = entries.at(-1).isIntersecting;
    resume();
  });
  watcher.observe(root);
  document.addEventListener("visibilitychange", resume);
  return () => {
    halt();
    watcher.disconnect();
    document.removeEventListener("visibilitychange", resume);
  };
}
