// The pixels that belong together: pixel q of the smaller side and, along each axis, `kernel` pixels of the larger
// side, from q * stride - before on.

/** @import { Windows } from "walk/payload.js" */

/** @typedef {[i: number, j: number, row: number, column: number]} Tap  a position in the kernel, and the pixel there */
/** @typedef {{ H: number, W: number }} Size */

/**
 * Return the pixels of the larger side that belong to pixel (u, v) of the smaller side.
 *
 * @param {Windows} windows
 * @param {number} u
 * @param {number} v
 * @param {Size} large
 */
export function largerPixels({ kernel, stride, before }, u, v, large) {
  /** @type {Tap[]} */
  const found = [];
  for (let i = 0; i < kernel[0]; i++) {
    for (let j = 0; j < kernel[1]; j++) {
      const y = u * stride[0] - before[0] + i, x = v * stride[1] - before[1] + j;
      if (y >= 0 && y < large.H && x >= 0 && x < large.W) found.push([i, j, y, x]);
    }
  }
  return found;
}

/**
 * Return the pixels of the smaller side to which pixel (y, x) of the larger side belongs.
 *
 * @param {Windows} windows
 * @param {number} y
 * @param {number} x
 * @param {Size} small
 */
export function smallerPixels({ kernel, stride, before }, y, x, small) {
  /** @type {Tap[]} */
  const found = [];
  for (let i = 0; i < kernel[0]; i++) {
    for (let j = 0; j < kernel[1]; j++) {
      const u = (y + before[0] - i) / stride[0], v = (x + before[1] - j) / stride[1];
      const whole = Number.isInteger(u) && Number.isInteger(v);
      if (whole && u >= 0 && u < small.H && v >= 0 && v < small.W) found.push([i, j, u, v]);
    }
  }
  return found;
}
