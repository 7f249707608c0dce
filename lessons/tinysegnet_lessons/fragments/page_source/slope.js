// The loss along one weight: a secant with step h, the exact slope, and the error of the secant for every h.

import { choices, el, format, panel, range, slider, start, svg, table } from "./shared.js";
import { centralDifference, doutOf, exactSlope, forwardDifference, loss, outAt } from "./slope_formula.js";

const X = [2, 0, 1, 3, 1],
  Y = [1, 1, -1, 1, -1]; // pixels and labels
const LOW = -3,
  HIGH = 4; // of the weight
const WIDTH = 400,
  HEIGHT = 250,
  LEFT = 46,
  TOP = 14,
  RIGHT = 388,
  BOTTOM = 212;
const STEPS = range(121).map((k) => 10 ** (-k / 10));

const state = { w: [1, -0.5, -1], i: 1, power: 0, central: false };
const curve = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" }),
  errors = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
const measured = el("dl", { class: "measured", "aria-live": "polite" }),
  line = el("div", {});

/** @param {number} t  the value of the chosen weight */
const lossAt = (t) => loss(X, Y, state.w.with(state.i, t));

/** @param {number} h */
const difference = (h) => (state.central ? centralDifference : forwardDifference)(lossAt, state.w[state.i], h);

/** @type {(low: number, high: number, from: number, to: number) => (value: number) => number} */
const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low)) * (to - from);

/** @param {[number, number][]} points */
const path = (points) => points.map(([a, b], k) => `${k ? "L" : "M"}${a.toFixed(2)} ${b.toFixed(2)}`).join("");

/** @type {(x: number, y: number, text: string, more?: object) => SVGElement} */
const label = (x, y, text, more = {}) => svg("text", { x, y, "text-anchor": "middle", ...more }, text);

function drawCurve() {
  const t = state.w[state.i],
    h = 10 ** state.power,
    ts = range(141).map((k) => LOW + (k / 140) * (HIGH - LOW));
  const high = Math.max(...ts.map(lossAt)),
    a = scale(LOW, HIGH, LEFT, RIGHT),
    b = scale(0, high, BOTTOM, TOP);
  const first = state.central ? t - h : t,
    last = t + h,
    slope = difference(h);
  const secant = [LOW, HIGH].map(
    (at) => /** @type {[number, number]} */ ([a(at), b(lossAt(first) + slope * (at - first))]),
  );
  const tangent = [LOW, HIGH].map(
    (at) => /** @type {[number, number]} */ ([a(at), b(lossAt(t) + exactSlope(X, Y, state.w, state.i) * (at - t))]),
  );
  curve.setAttribute(
    "aria-label",
    `Loss J along w[${state.i}], with the tangent at ${format(t)} and the secant of step ${format(h)}`,
  );
  curve.replaceChildren(
    svg(
      "clipPath",
      { id: "inside" },
      svg("rect", { x: LEFT, y: TOP - 6, width: RIGHT - LEFT, height: BOTTOM - TOP + 6 }),
    ),
    ...range(HIGH - LOW + 1).map((k) =>
      svg("line", { class: "axis", x1: a(LOW + k), x2: a(LOW + k), y1: TOP, y2: BOTTOM }),
    ),
    svg("line", { class: "axis", x1: LEFT, x2: RIGHT, y1: BOTTOM, y2: BOTTOM }),
    ...range(HIGH - LOW + 1).map((k) => label(a(LOW + k), BOTTOM + 16, format(LOW + k))),
    ...[0, high / 2, high].map((J) => label(LEFT - 8, b(J) + 4, format(J, 2), { "text-anchor": "end" })),
    label((LEFT + RIGHT) / 2, HEIGHT - 4, `weight w[${state.i}]`),
    svg(
      "g",
      { "clip-path": "url(#inside)" },
      svg("path", { class: "curve", d: path(ts.map((at) => [a(at), b(lossAt(at))])) }),
      svg("path", { d: path(tangent), fill: "none", stroke: "var(--C)", "stroke-width": 2 }),
      svg("path", { d: path(secant), fill: "none", stroke: "var(--G)", "stroke-width": 2, "stroke-dasharray": "7 5" }),
    ),
    ...[first, last].map((at) => svg("circle", { cx: a(at), cy: b(lossAt(at)), r: 4.5, fill: "var(--G)" })),
    svg("circle", {
      cx: a(t),
      cy: b(lossAt(t)),
      r: 6,
      fill: "var(--paper)",
      stroke: "var(--ink)",
      "stroke-width": 2.5,
    }),
  );
}

function drawErrors() {
  const exact = exactSlope(X, Y, state.w, state.i),
    least = 1e-14;
  const error = (/** @type {number} */ h) => Math.max(Math.abs(difference(h) - exact), least);
  const a = scale(-12, 0, LEFT, RIGHT),
    b = scale(-14, 1, BOTTOM, TOP),
    h = 10 ** state.power;
  errors.setAttribute(
    "aria-label",
    `Error of the measured slope for steps from 1e−12 to 1; for ${format(h)} it is ${format(error(h), 2)}`,
  );
  errors.replaceChildren(
    ...[-12, -9, -6, -3, 0].flatMap((power) => [
      svg("line", { class: "axis", x1: a(power), x2: a(power), y1: TOP, y2: BOTTOM }),
      label(a(power), BOTTOM + 16, `1e${power}`.replace("-", "−").replace("1e0", "1")),
    ]),
    ...[-12, -8, -4, 0].flatMap((power) => [
      svg("line", { class: "axis", x1: LEFT, x2: RIGHT, y1: b(power), y2: b(power) }),
      label(LEFT - 6, b(power) + 4, power ? `1e−${-power}` : "1", { "text-anchor": "end" }),
    ]),
    label((LEFT + RIGHT) / 2, HEIGHT - 4, "step h"),
    svg("path", { class: "curve", d: path(STEPS.map((step) => [a(Math.log10(step)), b(Math.log10(error(step)))])) }),
    svg("line", {
      x1: a(state.power),
      x2: a(state.power),
      y1: TOP,
      y2: BOTTOM,
      stroke: "var(--G)",
      "stroke-dasharray": "4 4",
    }),
    svg("circle", {
      cx: a(state.power),
      cy: b(Math.log10(error(h))),
      r: 6,
      fill: "var(--G)",
      stroke: "var(--paper)",
      "stroke-width": 2,
    }),
  );
}

/**
 * Write all digits of a loss, and mark the digits that it shares with the other loss.
 *
 * @param {number} value
 * @param {number} other
 */
function digits(value, other) {
  const text = value.toPrecision(16),
    against = other.toPrecision(16);
  const same = range(text.length).find((k) => text[k] !== against[k]) ?? text.length;
  return el("dd", {}, el("span", { class: "shared-digits" }, text.slice(0, same)), el("b", {}, text.slice(same)));
}

function draw() {
  const { w, i, central } = state,
    t = w[i],
    h = 10 ** state.power,
    exact = exactSlope(X, Y, w, i),
    slope = difference(h);
  const [high, low] = [lossAt(t + h), lossAt(central ? t - h : t)];
  drawCurve();
  drawErrors();
  measured.replaceChildren(
    el("dt", {}, "J(w + h)"),
    digits(high, low),
    el("dt", {}, central ? "J(w − h)" : "J(w)"),
    digits(low, high),
    el("dt", {}, central ? "difference / 2h" : "difference / h"),
    el("dd", { class: "bad" }, slope.toPrecision(16).replace("-", "−")),
    el("dt", {}, "exact slope"),
    el("dd", { class: "good" }, exact.toPrecision(16).replace("-", "−")),
    el("dt", {}, "error"),
    el("dd", {}, format(Math.abs(slope - exact), 3)),
  );
  const douts = doutOf(X, Y, w);
  line.replaceChildren(
    table(
      ["pixel u", "label y", "out", "dout", `x[u${i - 1 ? (i > 1 ? " + 1" : " − 1") : ""}]`, "x · dout"],
      X.map((_, u) => [
        String(u),
        format(Y[u]),
        format(outAt(X, w, u)),
        format(douts[u], 3),
        format(X[u + i - 1] ?? 0),
        format((X[u + i - 1] ?? 0) * douts[u], 3),
      ]),
    ),
    el("p", { class: "quiet" }, `The last column sums to the exact slope, ${format(exact)}.`),
  );
}

const weight = slider("value", { min: LOW, max: HIGH, step: 0.05, value: -0.5 }, (value) => {
  state.w[state.i] = value;
  draw();
});
start(
  [
    el(
      "div",
      { class: "two" },
      el(
        "section",
        {},
        choices("weight", { 0: "w[0]", 1: "w[1]", 2: "w[2]" }, "1", (key) => {
          state.i = Number(key);
          weight.set(state.w[state.i]);
          draw();
        }).root,
        weight.root,
      ),
      el(
        "section",
        {},
        choices("difference", { forward: "forward", central: "central" }, "forward", (key) => {
          state.central = key === "central";
          draw();
        }).root,
        slider(
          "step h",
          { min: -12, max: 0, step: 0.1, value: 0, text: (power) => format(10 ** power, 3) },
          (power) => {
            state.power = power;
            draw();
          },
        ).root,
      ),
      el(
        "section",
        {},
        el(
          "h2",
          {},
          "loss J, ",
          el("span", { class: "good" }, "tangent"),
          " and ",
          el("span", { class: "bad" }, "secant"),
        ),
        curve,
      ),
      panel("error of the measured slope, float64", errors),
      panel("digits that differ are bold", measured),
      panel("the exact slope as a sum over the pixels", line),
    ),
  ],
  draw,
);
