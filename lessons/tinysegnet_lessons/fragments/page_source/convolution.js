// A 3x3 kernel moves over a drawn street. The reader changes pixels, kernel, stride and padding.

import { board, grey, largestOf, signed } from "./boards.js";
import { conv2d, padded, products, windowAt } from "./convolution_formula.js";
import { button, choices, el, format, panel, range, start, sum, term } from "./shared.js";

const STREET = [
  "88888888888",
  "88838888488",
  "88333884448",
  "83333384448",
  "86666684448",
  "86161688288",
  "86661688288",
  "22222222222",
  "29922992299",
];
const KERNELS = {
  edge: [
    [-1, 0, 1],
    [-2, 0, 2],
    [-1, 0, 1],
  ],
  blur: range(3).map(() => [1 / 9, 1 / 9, 1 / 9]),
  sharpen: [
    [0, -1, 0],
    [-1, 5, -1],
    [0, -1, 0],
  ],
  identity: [
    [0, 0, 0],
    [0, 1, 0],
    [0, 0, 0],
  ],
};
const drawn = () => STREET.map((row) => Array.from(row, Number));

/**
 * taps: the number of products that have been added; grown: the number of outputs that are shown.
 *
 * @type {{ x: number[][], kernel: number[][], stride: number, P: number, at: [number, number], brush: number,
 *          taps: number, grown: number }}
 */
const state = {
  x: drawn(),
  kernel: KERNELS.edge.map((row) => [...row]),
  stride: 1,
  P: 1,
  at: [4, 1],
  brush: 0,
  taps: 9,
  grown: Infinity,
};
let timer = 0;

const picture = board("picture with the window; digits and Enter change a pixel", { drag: true, act: paintPixel });
const output = board("output; each number is the sum of one window", {
  look: lookAt,
  act: lookAt,
  names: (u, v) => `out ${u}, ${v}`,
});
const outputTitle = el("h2", {}),
  line = el("p", { class: "sum", "aria-live": "polite" });
const tiles = range(9).map((k) => {
  const change = (/** @type {number} */ value) => {
    state.kernel[Math.floor(k / 3)][k % 3] = value;
    presets.set("");
    draw();
  };
  const input = el("input", {
    type: "range",
    min: -5,
    max: 5,
    step: 0.5,
    "aria-label": `kernel row ${Math.floor(k / 3)}, column ${k % 3}`,
    oninput: () => change(Number(input.value)),
  });
  const text = el("div", {}),
    product = el("span", { class: "product" });
  return { root: el("div", { class: "tile" }, text, product, input), input, text, product };
});
const presets = choices(
  "kernel",
  { edge: "edge", blur: "blur", sharpen: "sharpen", identity: "identity" },
  "edge",
  (name) => {
    state.kernel = KERNELS[name].map((row) => [...row]);
    draw();
  },
);
const play = button("▶ play", () => (timer ? pause() : run()));

/** @param {number} row  @param {number} column  @param {string} key */
function paintPixel(row, column, key) {
  const r = row - state.P,
    c = column - state.P;
  if (state.x[r]?.[c] === undefined) return;
  const old = state.x[r][c];
  state.x[r][c] =
    key === "tap" ? state.brush : key === "+" ? Math.min(9, old + 1) : key === "-" ? Math.max(0, old - 1) : Number(key);
  draw();
}

/** @param {number} u  @param {number} v */
function lookAt(u, v) {
  if (timer) return;
  Object.assign(state, { at: [u, v], taps: 9, grown: Infinity });
  draw();
}

function run() {
  const count = conv2d(state.x, state.kernel, state.stride, state.P).flat().length;
  if (state.grown >= count) Object.assign(state, { grown: 0, taps: 0 });
  timer = setInterval(() => {
    state.taps = 9;
    next();
  }, 160);
  draw();
}

function pause() {
  clearInterval(timer);
  timer = 0;
  draw();
}

/** Add one product, or begin with the next window. */
function next() {
  const out = conv2d(state.x, state.kernel, state.stride, state.P),
    columns = out[0].length;
  if (state.taps < 9) state.taps++;
  else if (state.grown >= out.flat().length) Object.assign(state, { at: [0, 0], grown: 0, taps: timer ? 9 : 1 });
  else {
    state.grown++;
    if (state.grown >= out.flat().length) return pause();
    state.at = [Math.floor(state.grown / columns), state.grown % columns];
    state.taps = timer ? 9 : 1;
  }
  draw();
}

function draw() {
  const { x, kernel, stride, P, taps } = state,
    out = conv2d(x, kernel, stride, P),
    around = padded(x, P);
  state.at = [Math.min(state.at[0], out.length - 1), Math.min(state.at[1], out[0].length - 1)];
  const [u, v] = state.at,
    seen = windowAt(around, u, v, 3, stride),
    parts = products(seen, kernel),
    largest = largestOf(out);
  picture.show(
    around,
    (value, r, c) =>
      x[r - P]?.[c - P] === undefined ? { mark: "padding", told: "padding" } : { paint: grey(value / 9) },
    [[u * stride, v * stride, 3, 3, ""]],
  );
  output.show(
    out,
    (value, r, c) =>
      r * out[0].length + c < state.grown
        ? { text: format(value, 2), paint: signed(value, largest) }
        : { text: "", mark: "empty", told: "not yet computed" },
    [[u, v, 1, 1, ""]],
  );
  outputTitle.textContent = `out, ${out.length} × ${out[0].length}`;
  tiles.forEach(({ root, input, text, product }, k) => {
    const number = seen.flat()[k],
      weight = kernel.flat()[k];
    root.className = `tile ${k === taps - 1 && taps < 9 ? "now" : ""} ${k >= taps ? "later" : ""}`;
    text.textContent = `${number} × ${term(weight)}`;
    product.textContent = `= ${format(parts[k], 3)}`;
    Object.assign(product.style, signed(parts[k], Math.max(1, largestOf([parts]))));
    input.value = String(weight);
    input.setAttribute("aria-valuetext", format(weight, 3));
  });
  const terms = parts.map((part, k) => el(k < taps ? "span" : "i", {}, `${k ? " + " : ""}${term(part)}`));
  line.replaceChildren(
    el("b", {}, `out[${u}, ${v}]`),
    " = ",
    ...terms,
    taps < 9 ? ", so far " : " = ",
    el("b", {}, format(sum(parts.slice(0, taps)))),
  );
  play.textContent = timer ? "❚❚ pause" : "▶ play";
}

const restart = () => {
  state.grown = Infinity;
  state.taps = 9;
  draw();
};
start(
  [
    el(
      "div",
      { class: "two" },
      panel("picture: draw in it", picture.root),
      el("section", { class: "order2" }, outputTitle, output.root),
      el(
        "section",
        {},
        el("h2", {}, "window × kernel = product: move the sliders"),
        el(
          "div",
          { class: "tiles" },
          tiles.map(({ root }) => root),
        ),
        line,
      ),
      el(
        "section",
        { class: "order3" },
        presets.root,
        choices("stride", { 1: "1", 2: "2" }, "1", (value) => {
          state.stride = Number(value);
          restart();
        }).root,
        choices("padding", { same: "same", valid: "valid" }, "same", (name) => {
          state.P = name === "same" ? 1 : 0;
          restart();
        }).root,
        choices("draw with", { 0: "0 black", 5: "5", 9: "9 white" }, "0", (value) => {
          state.brush = Number(value);
        }).root,
        el(
          "div",
          { class: "choices" },
          el("span", {}, "window"),
          play,
          button("one product", () => {
            if (timer) pause();
            next();
          }),
          button("restore", () => {
            state.x = drawn();
            restart();
          }),
        ),
      ),
    ),
  ],
  draw,
);
