// The loss of a small convolution, its exact slope along one weight, and two ways to measure this slope.

import { sum } from "./shared.js";

/** @type {(x: number[], w: number[], u: number) => number} */
export const outAt = (x, w, u) => sum(w.map((weight, i) => weight * (x[u + i - 1] ?? 0)));

// The label y of a pixel is 1 or -1. A pixel's loss is small if out has the sign of y.
/** @type {(x: number[], y: number[], w: number[]) => number} */
export const loss = (x, y, w) => sum(y.map((label, u) => Math.log(1 + Math.exp(-label * outAt(x, w, u)))));

// The chain rule: dout is the slope of the loss along out, and x is the slope of out along the weight.
/** @type {(x: number[], y: number[], w: number[]) => number[]} */
export const doutOf = (x, y, w) => y.map((label, u) => -label / (1 + Math.exp(label * outAt(x, w, u))));

/** @type {(x: number[], y: number[], w: number[], i: number) => number} */
export const exactSlope = (x, y, w, i) => sum(doutOf(x, y, w).map((dout, u) => (x[u + i - 1] ?? 0) * dout));

/** @type {(J: (t: number) => number, t: number, h: number) => number} */
export const forwardDifference = (J, t, h) => (J(t + h) - J(t)) / h;

/** @type {(J: (t: number) => number, t: number, h: number) => number} */
export const centralDifference = (J, t, h) => (J(t + h) - J(t - h)) / (2 * h);
