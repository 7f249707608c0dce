// The formula of a convolution: each output is the sum of a window's numbers times the kernel's numbers.

import { range, sum } from "./shared.js";

/**
 * @param {number[][]} x
 * @param {number} P  rows and columns of zeros on each side
 */
export const padded = (x, P) =>
  range(x.length + 2 * P).map((r) => range(x[0].length + 2 * P).map((c) => x[r - P]?.[c - P] ?? 0));

/** @type {(xPadded: number[][], u: number, v: number, K: number, stride: number) => number[][]} */
export const windowAt = (xPadded, u, v, K, stride) =>
  xPadded.slice(u * stride, u * stride + K).map((row) => row.slice(v * stride, v * stride + K));

/** @type {(window: number[][], kernel: number[][]) => number[]} */
export const products = (window, kernel) =>
  window.flatMap((row, i) => row.map((number, j) => number * kernel[i][j]));

/** @type {(x: number[][], kernel: number[][], stride: number, P: number) => number[][]} */
export function conv2d(x, kernel, stride, P) {
  const xPadded = padded(x, P), K = kernel.length;
  const rows = Math.floor((x.length + 2 * P - K) / stride) + 1;
  const columns = Math.floor((x[0].length + 2 * P - K) / stride) + 1;
  const at = (/** @type {number} */ u, /** @type {number} */ v) =>
    sum(products(windowAt(xPadded, u, v, K, stride), kernel));
  return range(rows).map((u) => range(columns).map((v) => at(u, v)));
}
