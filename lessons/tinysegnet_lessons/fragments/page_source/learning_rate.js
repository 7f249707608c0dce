// Gradient descent on a loss of two weights: the path, the loss after each step, and the limit of the learning rate.

import { curvatures, descent, gradient, loss, outputs } from "./learning_rate_formula.js";
import { button, el, format, panel, range, slider, start, svg, table, term } from "./shared.js";

/** @import { Pair } from "./learning_rate_formula.js" */

const LINE = [1, 3, 2, 4, 1, 2]; // pixels; two neighbours have the target right minus left, which finds edges
const X = range(5).map((k) => /** @type {Pair} */ ([LINE[k], LINE[k + 1]])),
  TARGET = X.map(([left, right]) => right - left);
const SIDE = 360,
  MIDDLE = /** @type {Pair} */ ([-1, 1]),
  REACH = 3.6,
  STEPS = 60;
const [LARGE, SMALL] = curvatures(X);

/** @type {{ rate: number, momentum: number, steps: number, start: Pair }} */
const state = { rate: 10 ** -0.8, momentum: 0, steps: 20, start: [1.6, 2.6] };
const valley = svg("svg", {
    viewBox: `0 0 ${SIDE} ${SIDE}`,
    role: "application",
    tabindex: 0,
    onclick: place,
    onkeydown: push,
  }),
  heights = svg("svg", { viewBox: `0 0 ${SIDE} 196`, role: "img" });
const verdict = el("p", { class: "sum", "aria-live": "polite" }),
  work = el("div", {});
let timer = 0;

/** @param {number} w0 */
const across = (w0) => SIDE * (0.5 + (w0 - MIDDLE[0]) / (2 * REACH));

/** @param {number} w1 */
const up = (w1) => SIDE * (0.5 - (w1 - MIDDLE[1]) / (2 * REACH));

/** @param {MouseEvent} event */
function place(event) {
  const box = valley.getBoundingClientRect(),
    share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  state.start = [MIDDLE[0] + (2 * share[0] - 1) * REACH, MIDDLE[1] - (2 * share[1] - 1) * REACH];
  draw();
}

/** @param {KeyboardEvent} event */
function push(event) {
  const move = { ArrowUp: [0, 0.1], ArrowDown: [0, -0.1], ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0] }[event.key];
  if (!move) return;
  event.preventDefault();
  state.start = [state.start[0] + move[0], state.start[1] + move[1]];
  draw();
}

/** @param {Pair[]} path  @param {boolean} diverges */
function drawValley(path, diverges) {
  const colour = diverges ? "var(--G)" : "var(--accent)";
  // The contours are ellipses along the eigenvectors of the curvature.
  const angle =
    (Math.atan2(
      LARGE - X.reduce((all, [a]) => all + a * a, 0) / X.length,
      X.reduce((all, [a, b]) => all + a * b, 0) / X.length,
    ) *
      180) /
    Math.PI;
  const ellipse = (/** @type {number} */ J) =>
    svg("ellipse", {
      class: "contour",
      rx: (Math.sqrt((2 * J) / LARGE) * SIDE) / (2 * REACH),
      ry: (Math.sqrt((2 * J) / SMALL) * SIDE) / (2 * REACH),
      transform: `translate(${SIDE / 2} ${SIDE / 2}) rotate(${-angle})`,
    });
  const shown = path.filter(([a, b]) => Math.abs(a) < 1e4 && Math.abs(b) < 1e4);
  const [w0, w1] = path[path.length - 1];
  valley.setAttribute(
    "aria-label",
    `Path of ${state.steps} steps over the loss, from ${state.start.map((w) => format(w, 2)).join(", ")} ` +
      `to ${format(w0, 2)}, ${format(w1, 2)}. Click or use arrow keys to move the start.`,
  );
  valley.replaceChildren(
    svg("clipPath", { id: "map" }, svg("rect", { width: SIDE, height: SIDE, rx: 8 })),
    svg(
      "g",
      { "clip-path": "url(#map)" },
      svg("rect", { width: SIDE, height: SIDE, fill: "var(--soft)" }),
      [0.1, 0.5, 1.5, 4, 8, 14, 22, 32, 45, 60, 80].map(ellipse),
      svg("path", { d: `M${across(-1) - 6} ${up(1)}h12m-6 -6v12`, stroke: "var(--C)", "stroke-width": 2.5 }),
      svg("polyline", {
        points: shown.map(([a, b]) => `${across(a).toFixed(1)},${up(b).toFixed(1)}`).join(" "),
        fill: "none",
        stroke: colour,
        "stroke-width": 1.8,
        "stroke-linejoin": "round",
      }),
      shown.map(([a, b]) => svg("circle", { cx: across(a), cy: up(b), r: 3, fill: colour })),
      svg("circle", {
        cx: across(state.start[0]),
        cy: up(state.start[1]),
        r: 7,
        fill: "none",
        stroke: "var(--ink)",
        "stroke-width": 2.5,
      }),
      Math.abs(w0) < 1e4
        ? svg("rect", {
            x: across(w0) - 6,
            y: up(w1) - 6,
            width: 12,
            height: 12,
            fill: colour,
            stroke: "var(--paper)",
            "stroke-width": 2,
          })
        : null,
    ),
    svg("text", { x: SIDE - 10, y: SIDE - 10, "text-anchor": "end" }, "w[0] →"),
    svg("text", { x: 10, y: 20 }, "↑ w[1]"),
  );
}

/** @param {Pair[]} path  @param {boolean} diverges */
function drawHeights(path, diverges) {
  const power = (/** @type {number} */ J) => Math.min(Math.max(Math.log10(J), -8), 8),
    a = (/** @type {number} */ t) => 46 + (t / STEPS) * (SIDE - 56),
    b = (/** @type {number} */ J) => 82 - power(J) * 9;
  const losses = path.map((w) => loss(X, TARGET, w)),
    colour = diverges ? "var(--G)" : "var(--accent)";
  heights.setAttribute(
    "aria-label",
    `Loss after each step: from ${format(losses[0], 2)} to ${format(losses[losses.length - 1], 2)}`,
  );
  heights.replaceChildren(
    ...[-8, -4, 0, 4, 8].flatMap((k) => [
      svg("line", { class: "axis", x1: 46, x2: SIDE - 10, y1: b(10 ** k), y2: b(10 ** k) }),
      svg("text", { x: 40, y: b(10 ** k) + 4, "text-anchor": "end" }, k ? `1e${k}`.replace("-", "−") : "1"),
    ]),
    ...[0, 20, 40, 60].map((t) => svg("text", { x: a(t), y: 174, "text-anchor": "middle" }, String(t))),
    svg("text", { x: (46 + SIDE) / 2, y: 188, "text-anchor": "middle" }, "step"),
    svg("polyline", {
      points: losses.map((J, t) => `${a(t)},${b(J)}`).join(" "),
      fill: "none",
      stroke: colour,
      "stroke-width": 2,
    }),
    svg("circle", { cx: a(state.steps), cy: b(losses[state.steps]), r: 5, fill: colour }),
  );
}

function draw() {
  const { rate, momentum, steps } = state,
    path = descent(X, TARGET, state.start, rate, momentum, steps),
    w = path[steps],
    g = gradient(X, TARGET, w);
  const limit = (2 * (1 + momentum)) / LARGE,
    diverges = rate > limit,
    out = outputs(X, w);
  drawValley(path, diverges);
  drawHeights(path, diverges);
  verdict.replaceChildren(
    `The limit is 2 · (1 + ${format(momentum, 2)}) / ${format(LARGE, 3)} = `,
    el("b", {}, format(limit, 3)),
    ". The learning rate ",
    el("b", { class: diverges ? "bad" : "good" }, format(rate, 3)),
    diverges ? " is larger, so the path diverges." : " is smaller, so the path converges.",
    ` After ${steps} steps, the loss is ${format(loss(X, TARGET, w), 3)}.`,
  );
  const errors = out.map((number, k) => number - TARGET[k]),
    short = (/** @type {number} */ value) => format(value, 3);
  work.replaceChildren(
    table(
      ["pixels", "out", "target", "error", "· left", "· right"],
      X.map(([a, b], k) => [
        `${a}, ${b}`,
        short(out[k]),
        short(TARGET[k]),
        short(errors[k]),
        short(errors[k] * a),
        short(errors[k] * b),
      ]),
    ),
    el(
      "p",
      {},
      `w = (${short(w[0])}, ${short(w[1])}), so out = ${term(w[0])} · left + ${term(w[1])} · right. `,
      `The means of the last two columns are the gradient (${short(g[0])}, ${short(g[1])}).`,
    ),
  );
}

const stepSlider = slider("steps", { min: 0, max: STEPS, value: state.steps, text: String }, (value) => {
  state.steps = value;
  draw();
});
const play = button("▶ play", () => {
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "▶ play";
  };
  if (timer) return stop();
  if (state.steps >= STEPS) state.steps = 0;
  play.textContent = "❚❚ pause";
  timer = setInterval(() => {
    stepSlider.set(++state.steps);
    draw();
    if (state.steps >= STEPS) stop();
  }, 200);
});
start(
  [
    el(
      "div",
      { class: "sliders" },
      slider(
        "learning rate",
        { min: -3, max: 0, step: 0.01, value: -0.8, text: (power) => format(10 ** power, 3) },
        (power) => {
          state.rate = 10 ** power;
          draw();
        },
      ).root,
      slider("momentum", { min: 0, max: 0.95, step: 0.05, value: 0, text: (value) => format(value, 2) }, (value) => {
        state.momentum = value;
        draw();
      }).root,
      stepSlider.root,
      el("div", { class: "choices" }, play),
    ),
    verdict,
    el(
      "div",
      { class: "two" },
      panel("the loss over two weights: click to choose the start", valley),
      el("div", {}, panel("the loss after each step", heights), panel("the gradient at the last point", work)),
    ),
  ],
  draw,
);
