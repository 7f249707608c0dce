// Fit two weights to five pixels: the mean squared error, its gradient, and gradient descent with momentum.

import { range, sum } from "./shared.js";

/** @typedef {[number, number]} Pair */

/** @type {(x: Pair[], w: Pair) => number[]} */
export const outputs = (x, w) => x.map(([a, b]) => w[0] * a + w[1] * b);

/** @type {(x: Pair[], target: number[], w: Pair) => number} */
export const loss = (x, target, w) => sum(outputs(x, w).map((out, k) => (out - target[k]) ** 2)) / (2 * x.length);

/** @type {(x: Pair[], target: number[], w: Pair) => Pair} */
export function gradient(x, target, w) {
  const along = (/** @type {number} */ i) =>
    sum(outputs(x, w).map((out, k) => (out - target[k]) * x[k][i])) / x.length;
  return [along(0), along(1)];
}

// The second derivatives of the loss; the curvatures are the eigenvalues of this matrix, the largest first.
/** @type {(x: Pair[]) => Pair} */
export function curvatures(x) {
  const mean = (/** @type {number} */ i, /** @type {number} */ j) => sum(x.map((pair) => pair[i] * pair[j])) / x.length;
  const middle = (mean(0, 0) + mean(1, 1)) / 2;
  const away = Math.hypot((mean(0, 0) - mean(1, 1)) / 2, mean(0, 1));
  return [middle + away, middle - away];
}

/** @type {(x: Pair[], target: number[], start: Pair, rate: number, momentum: number, steps: number) => Pair[]} */
export function descent(x, target, start, rate, momentum, steps) {
  /** @type {Pair[]} */
  const path = [start];
  let velocity = [0, 0];
  for (const t of range(steps)) {
    const g = gradient(x, target, path[t]);
    velocity = velocity.map((v, i) => momentum * v + g[i]);
    path.push([path[t][0] - rate * velocity[0], path[t][1] - rate * velocity[1]]);
  }
  return path;
}
