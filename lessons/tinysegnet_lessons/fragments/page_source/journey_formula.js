// A SegNet with one stage: convolution, ReLU, pool, unpool, and a convolution that gives one logit per class.

import { range, sum } from "./shared.js";

/** @typedef {number[][][]} Maps  [channel][row][column] */
/** @typedef {{ number: number, weight: number, c: number, y: number, x: number }} Term */

// The products behind one output, in the order of the sum. weight[f][c] is a 3x3 kernel.
/** @type {(x: Maps, weight: number[][][][], f: number, u: number, v: number) => Term[]} */
export const termsAt = (x, weight, f, u, v) => x.flatMap((map, c) => range(9).map((k) => {
  const i = Math.floor(k / 3), j = k % 3, y = u + i - 1, column = v + j - 1;
  return { number: map[y]?.[column] ?? 0, weight: weight[f][c][i][j], c, y, x: column };
}));

/** @type {(x: Maps, weight: number[][][][], bias: number[]) => Maps} */
export const conv = (x, weight, bias) => bias.map((b, f) => x[0].map((row, u) =>
  row.map((_, v) => b + sum(termsAt(x, weight, f, u, v).map((term) => term.number * term.weight)))));

/** @type {(x: Maps) => Maps} */
export const relu = (x) => x.map((map) => map.map((row) => row.map((number) => Math.max(number, 0))));

/** @type {(map: number[][], u: number, v: number) => number[]} */
export const windowOf = (map, u, v) => range(4).map((p) => map[2 * u + (p >> 1)][2 * v + (p & 1)]);

/** @type {(x: Maps, pick: (window: number[]) => number) => Maps} */
export const pool = (x, pick) =>
  x.map((map) => range(2).map((u) => range(2).map((v) => pick(windowOf(map, u, v)))));

/** @type {(window: number[]) => number} */
export const largest = (window) => Math.max(...window);

/** @type {(window: number[]) => number} */
export const firstLargest = (window) => window.indexOf(Math.max(...window));

/** @type {(z: Maps, position: Maps) => Maps} */
export const unpool = (z, position) => z.map((map, c) => range(4).map((r) => range(4).map((column) =>
  (position[c][r >> 1][column >> 1] === 2 * (r % 2) + (column % 2) ? map[r >> 1][column >> 1] : 0))));
