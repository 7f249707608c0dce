// Pooling and unpooling of a few numbers, with odd sizes and ties, and of an outline of 16x16 pixels.

import { board, signed, solid } from "./boards.js";
import { maxPool, maxUnpool } from "./pooling_formula.js";
import { button, choices, el, format, panel, range, slider, start } from "./shared.js";

const NUMBERS = ["1620341", "5314250", "0278113", "9135726", "4463321", "2464900", "3087152"];
const SHAPES = {
  house: [
    "",
    "",
    ".......##",
    "......#..#",
    ".....#....#",
    "....#......#",
    "...#........#",
    "..#..........#",
    "..############",
    "..#..........#",
    "..#...####...#",
    "..#...#..#...#",
    "..#...#..#...#",
    "..############",
  ],
  ring: [
    "",
    "",
    "......####",
    "....##....##",
    "...#........#",
    "...#........#",
    "..#..........#",
    "..#..........#",
    "..#..........#",
    "..#..........#",
    "...#........#",
    "...#........#",
    "....##....##",
    "......####",
  ],
};
/** @type {(rows: string[]) => number[][]} */
const readShape = (rows) => range(16).map((r) => range(16).map((c) => (rows[r]?.[c] === "#" ? 1 : 0)));

const state = {
  H: 5,
  W: 5,
  x: NUMBERS.map((row) => Array.from(row, Number)),
  corner: false,
  at: [0, 0],
  depth: 2,
  shape: readShape(SHAPES.house),
};

const names = (/** @type {number} */ u, /** @type {number} */ v) => `window ${u}, ${v}`;
const looks = (/** @type {number} */ u, /** @type {number} */ v) => {
  state.at = [u, v];
  draw();
};
const lookInside = (/** @type {number} */ r, /** @type {number} */ c) => looks(r >> 1, c >> 1);
const input = board("x; tap to add 1, or type a digit", { look: lookInside, act: change });
const pooled = board("pooled", { look: looks, names }),
  bits = board("indices", { look: looks, names });
const restored = board("unpooled", { look: lookInside }),
  line = el("p", { class: "sum", "aria-live": "polite" });
const outline = board("outline; tap to change a pixel", { drag: true, act: drawOutline }),
  kept = board("restored with indices"),
  lost = board("restored in a fixed corner");
const score = el("p", { class: "sum", "aria-live": "polite" }),
  fixed = (/** @type {number[][]} */ position) => position.map((row) => row.map(() => 0));

/** @param {number} r  @param {number} c  @param {string} key */
function change(r, c, key) {
  state.x[r][c] =
    key === "tap" || key === "+" ? (state.x[r][c] + 1) % 10 : key === "-" ? (state.x[r][c] + 9) % 10 : Number(key);
  lookInside(r, c);
}

/** @param {number} r  @param {number} c */
function drawOutline(r, c) {
  state.shape[r][c] = 1 - state.shape[r][c];
  drawShapes();
}

/**
 * Pool `depth` times, and unpool as often.
 *
 * @param {number[][]} x
 * @param {number} depth
 * @param {boolean} corner  whether unpooling ignores the indices
 * @returns {number[][]}
 */
function thereAndBack(x, depth, corner) {
  if (!depth) return x;
  const { out, position } = maxPool(x);
  return maxUnpool(thereAndBack(out, depth - 1, corner), corner ? fixed(position) : position, x.length, x[0].length);
}

function draw() {
  const x = state.x.slice(0, state.H).map((row) => row.slice(0, state.W)),
    { out, position } = maxPool(x);
  const used = state.corner ? fixed(position) : position,
    back = maxUnpool(out, used, state.H, state.W);
  const [u, v] = (state.at = [Math.min(state.at[0], out.length - 1), Math.min(state.at[1], out[0].length - 1)]);
  const size = (/** @type {number} */ k, /** @type {number} */ whole) => Math.min(2, whole - 2 * k);
  /** @type {import("./boards.js").Frame[]} */
  const windows = out.flatMap((row, a) =>
    row.map((_, b) => [2 * a, 2 * b, size(a, state.H), size(b, state.W), a === u && b === v ? "" : "window"]),
  );
  const won = (/** @type {number} */ r, /** @type {number} */ c) => position[r >> 1][c >> 1] === 2 * (r % 2) + (c % 2);
  input.show(
    x,
    (value, r, c) => {
      const tie = !won(r, c) && value === out[r >> 1][c >> 1];
      return {
        paint: won(r, c) ? signed(1, 1) : null,
        mark: tie ? "tie" : "",
        told: won(r, c) ? "the maximum" : tie ? "equal, but later" : "",
      };
    },
    windows.toSorted((a, b) => b[4].length - a[4].length),
  );
  pooled.show(out, () => ({ paint: signed(1, 1) }), [[u, v, 1, 1, ""]]);
  bits.show(position, (p) => ({ text: state.corner ? "–" : p.toString(2).padStart(2, "0") }), [[u, v, 1, 1, ""]]);
  restored.show(
    back,
    (value, r, c) => ({
      paint: used[r >> 1][c >> 1] === 2 * (r % 2) + (c % 2) ? signed(1, 1) : null,
      mark: value ? "" : "quiet",
    }),
    windows.toSorted((a, b) => b[4].length - a[4].length),
  );
  const inside = range(4).map((p) => x[2 * u + (p >> 1)]?.[2 * v + (p & 1)]),
    p = position[u][v];
  const equal = inside.filter((number) => number === out[u][v]).length,
    clipped = inside.filter((number) => number === undefined).length;
  line.replaceChildren(
    `Window (${u}, ${v}): max(${inside.filter((number) => number !== undefined).join(", ")}) = `,
    el("b", {}, format(out[u][v])),
    ` at position ${p}, bits ${p.toString(2).padStart(2, "0")}. `,
    equal > 1 ? `${equal} numbers are equal, and the first one wins. ` : "",
    clipped ? "The picture ends inside this window. " : "",
    state.corner
      ? `Without indices, unpooling writes ${out[u][v]} to the upper left corner.`
      : `Unpooling writes ${out[u][v]} to row ${2 * u + (p >> 1)}, column ${2 * v + (p & 1)}.`,
  );
}

function drawShapes() {
  const { shape, depth } = state;
  outline.show(shape, (value) => ({
    text: "",
    told: value ? "outline" : "background",
    paint: value ? solid("ink") : null,
  }));
  const share = [false, true].map((corner) => {
    const back = thereAndBack(shape, depth, corner),
      hits = back.flat().filter((value, k) => value && shape.flat()[k]).length;
    (corner ? lost : kept).show(back, (value, r, c) => ({
      text: "",
      paint: value ? solid(shape[r][c] ? "mIoU" : "G") : shape[r][c] ? solid("grid") : null,
    }));
    return `${hits} of ${back.flat().filter(Boolean).length}`;
  });
  score.textContent = `Restored pixels on the outline: ${share[0]} with indices, ${share[1]} in a fixed corner.`;
}

const sizes = ["H", "W"].map(
  (side) =>
    slider(side === "H" ? "rows" : "columns", { min: 2, max: 7, value: 5 }, (value) => {
      state[/** @type {"H" | "W"} */ (side)] = value;
      draw();
    }).root,
);
start(
  [
    el(
      "div",
      { class: "two" },
      el("div", { class: "sliders" }, sizes),
      choices("unpool", { indices: "with indices", corner: "in a fixed corner" }, "indices", (key) => {
        state.corner = key === "corner";
        draw();
      }).root,
    ),
    el(
      "div",
      { class: "flow" },
      panel("x: tap a number to add 1", input.root),
      el("div", { class: "stack" }, panel("pooled", pooled.root), panel("indices, two bits", bits.root)),
      panel("unpooled", restored.root),
    ),
    line,
    el(
      "div",
      { class: "shapes" },
      panel("outline: draw in it", outline.root),
      panel("with indices", kept.root),
      panel("in a fixed corner", lost.root),
      el(
        "div",
        { class: "settings" },
        slider("pools", { min: 1, max: 3, value: 2 }, (value) => {
          state.depth = value;
          drawShapes();
        }).root,
        el(
          "div",
          { class: "choices" },
          Object.entries(SHAPES).map(([name, rows]) =>
            button(name, () => {
              state.shape = readShape(rows);
              drawShapes();
            }),
          ),
        ),
      ),
    ),
    score,
  ],
  () => {
    draw();
    drawShapes();
  },
);
