// The arrows of a pooling or unpooling, which show the position of each window's maximum.
//
// Windows are separated, and arrows run in the gaps between their rows, so that no arrow crosses a cell.

import { colourOf, css, scaleOf, theme } from "walk/colours.js";
import { el, svg } from "walk/elements.js";
import { linkTo } from "walk/links.js";
import { data } from "walk/payload.js";

/** @import { LoadedNode, Tensor } from "walk/store.js" */

/** @typedef {[x: number, y: number]} Point  in the drawing */

/**
 * The drawing's data. If `upwards` is true, arrows point to the larger map. `letters` names input and result, and `own`
 * the number that is explained.
 *
 * @typedef {object} Pooling
 * @property {LoadedNode} node
 * @property {Tensor} small
 * @property {Tensor} large
 * @property {boolean} upwards
 * @property {number} channel
 * @property {[read: string, made: string]} letters
 * @property {string} own
 */

/**
 * The window of pixel (row, column) of the smaller map.
 *
 * @typedef {object} PoolWindow
 * @property {number} row
 * @property {number} column
 * @property {[i: number, j: number]} maximum   row and column inside the window
 * @property {Point} large                      the corner of the window in the drawing
 * @property {Point} small                      the corner of its cell in the smaller map
 * @property {number} lane                      how far from the window its arrow runs
 * @property {string} colour
 * @property {boolean} thick
 */

const CELL = 26, GAP = 1.5 * CELL, MAX_WINDOWS = 3; // along each axis

/**
 * Draw up to nine windows around that of pixel (u, v), their cells in the smaller map, and one arrow per window.
 *
 * @param {Pooling} pooling
 * @param {number} u
 * @param {number} v
 */
export function poolingArrows(pooling, u, v) {
  const { node, small, upwards, channel, letters: [read, made] } = pooling, [KH, KW] = node.windows.kernel;
  const rows = Math.min(MAX_WINDOWS, small.H), columns = Math.min(MAX_WINDOWS, small.W);
  const top = Math.max(0, Math.min(u - 1, small.H - rows)), left = Math.max(0, Math.min(v - 1, small.W - columns));
  const wide = columns * (KW + 0.5) * CELL, narrow = columns * 1.5 * CELL, between = 2.2 * CELL;
  const [largeAt, smallAt] = upwards ? [narrow + between, 0] : [0, wide + between], height = KH * CELL + GAP;
  const [largeName, smallName] = upwards ? [made, read] : [read, made];
  const viewBox = `-2 -16 ${wide + narrow + between} ${rows * height + GAP + 18}`;
  const label = `arrows between each window's maximum in ${largeName} and ${smallName}`;
  const drawing = svg("svg", { viewBox, class: "arrows", role: "group", "aria-label": label });
  drawing.append(caption(largeAt, largeName), caption(smallAt, smallName));
  const palette = data.arrows[theme()], arrows = [];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const row = top + r, column = left + c, position = node.position(row, column, channel), y = GAP + r * height;
      /** @type {PoolWindow} */
      const window = {
        row, column, maximum: [Math.floor(position / KW), position % KW],
        large: [largeAt + c * (KW + 0.5) * CELL, y],
        small: [smallAt + c * 1.5 * CELL, y + ((KH - 1) / 2) * CELL],
        lane: GAP * (0.14 + (0.3 * c) / Math.max(columns - 1, 1)),
        colour: palette[(r * columns + c) % palette.length],
        thick: row === u && column === v,
      };
      drawing.append(...windowCells(pooling, window));
      arrows.push(...windowArrow(pooling, window));
    }
  }
  drawing.append(...arrows); // drawn last, above all cells
  const text = upwards
    ? `Each value of ${read} goes to the position of its window's maximum. All other values of ${made} are 0.`
    : "Each arrow leads from a window's maximum to its pixel in the smaller map.";
  const figcaption = el("figcaption", {}, `${text} The thick arrow belongs to the window of the selected pixel.`);
  return el("figure", { class: "arrow-figure" }, drawing, figcaption);
}

/**
 * Draw the cells of a window, its cell in the smaller map, and a frame around its maximum in both.
 *
 * @param {Pooling} pooling
 * @param {PoolWindow} window
 */
function windowCells(pooling, window) {
  const { node, small, large, upwards, letters } = pooling;
  const [largeName, smallName] = upwards ? letters.toReversed() : letters;
  const { row, column, maximum: [i, j], large: [x0, y0], small: [x1, y1], colour } = window;
  const { kernel: [KH, KW], stride } = node.windows, line = window.thick ? 4 : 2.5, cells = [];
  for (let a = 0; a < KH; a++) {
    for (let b = 0; b < KW; b++) {
      const y = row * stride[0] + a, x = column * stride[1] + b, inside = y < large.H && x < large.W;
      const corner = /** @type {Point} */ ([x0 + b * CELL, y0 + a * CELL]);
      cells.push(inside ? cell(pooling, window, corner, large, largeName, y, x) : square(corner, "none"));
    }
  }
  return [...cells, cell(pooling, window, [x1, y1], small, smallName, row, column),
    frame(x0, y0, KW * CELL, KH * CELL, colour, 1),
    frame(x0 + j * CELL + 2, y0 + i * CELL + 2, CELL - 4, CELL - 4, colour, line),
    frame(x1 + 2, y1 + 2, CELL - 4, CELL - 4, colour, line)];
}

/**
 * Draw the arrow of a window, from one cell through the gap between the rows to the other cell.
 *
 * @param {Pooling} pooling
 * @param {PoolWindow} window
 */
function windowArrow({ node, upwards }, { maximum: [i, j], large: [x0, y0], small: [x1, y1], lane, colour, thick }) {
  const KH = node.windows.kernel[0], above = i < KH / 2, edge = above ? 0 : CELL;
  const gap = above ? y0 - lane : y0 + KH * CELL + lane;
  const inLarge = [x0 + (j + 0.5) * CELL, y0 + i * CELL + edge], inSmall = [x1 + CELL / 2, y1 + edge];
  const [[fromX, fromY], [toX, toY]] = upwards ? [inSmall, inLarge] : [inLarge, inSmall];
  const down = Math.sign(toY - gap), half = thick ? 5 : 3.5, width = thick ? 3 : 1.5;
  const d = `M ${fromX} ${fromY} V ${gap} H ${toX} V ${toY - 8 * down}`;
  return [
    svg("path", { d, fill: "none", class: "halo" }),
    svg("path", { d, fill: "none", stroke: colour, "stroke-width": width, "stroke-linejoin": "round" }),
    svg("path", { d: `M ${toX} ${toY} l ${-half} ${-8 * down} h ${2 * half} z`, fill: colour }),
  ];
}

/**
 * @param {Tensor} map
 * @param {number} y
 * @param {number} x
 * @param {number} channel
 */
function colourAt(map, y, x, channel) {
  const value = (map.planes[(channel * map.H + y) * map.W + x] * map.scales[channel]) / 127;
  return css(colourOf(value, scaleOf(map, channel)));
}

/**
 * Draw a number. A click leads to its derivation; in the window of the selected pixel, so does Enter.
 *
 * @param {Pooling} pooling
 * @param {PoolWindow} window
 * @param {Point} corner
 * @param {Tensor} map
 * @param {string} letter
 * @param {number} y
 * @param {number} x
 */
function cell({ own, channel }, window, corner, map, letter, y, x) {
  const drawn = square(corner, colourAt(map, y, x, channel)), follow = linkTo(own, [map, y, x, channel]);
  if (!follow) return drawn;
  drawn.classList.add("link");
  drawn.addEventListener("click", follow);
  if (!window.thick) return drawn;
  drawn.setAttribute("role", "button");
  drawn.setAttribute("tabindex", "0");
  drawn.setAttribute("aria-label", `how ${letter}[${y}, ${x}, ${channel}] was computed`);
  drawn.addEventListener("keydown", ({ key }) => { if (key === "Enter") follow(); });
  return drawn;
}

/** @type {(corner: Point, fill: string) => SVGRectElement} */
const square = ([x, y], fill) => svg("rect", { x, y, width: CELL, height: CELL, fill, class: "cell" });

/** @type {(x: number, y: number, width: number, height: number, stroke: string, line: number) => SVGRectElement} */
const frame = (x, y, width, height, stroke, line) =>
  svg("rect", { x, y, width, height, fill: "none", stroke, "stroke-width": line });

/**
 * @param {number} x
 * @param {string} name
 */
function caption(x, name) {
  const text = svg("text", { x, y: -2, class: "caption" });
  text.textContent = name;
  return text;
}
