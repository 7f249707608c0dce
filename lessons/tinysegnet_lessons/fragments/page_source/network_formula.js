// The maps of a SegNet with one convolution per stage, their costs, and the receptive field.

import { range } from "./shared.js";

/**
 * @typedef {{ stages: number, channels: number, H: number, W: number, K: number, doubled: boolean,
 *             classes: number }} Settings
 */
/** @typedef {{ name: string, H: number, W: number, C: number, F: number }} Conv */
/** @typedef {[low: number, high: number]} Interval  the first and the last pixel of one axis */

/** @type {(settings: Settings) => Conv[]} */
export function convolutions({ stages, channels, H, W, doubled, classes }) {
  /** @type {(name: string, k: number, C: number, F: number) => Conv} */
  const conv = (name, k, C, F) => ({ name, H: Math.ceil(H / 2 ** k), W: Math.ceil(W / 2 ** k), C, F });
  const widths = range(stages).map((k) => channels * (doubled ? 2 ** k : 1));
  const encoder = widths.map((width, k) => conv(`encoder${k + 1}`, k, widths[k - 1] ?? 3, width));
  const decoder = widths.map((width, k) => conv(`decoder${k + 1}`, k, width, widths[k - 1] ?? width));
  return [...encoder, ...decoder.reverse(), conv("classifier", 0, channels, classes)];
}
// Weights, and batch norm's gamma and beta. The classifier is 3x3, with a bias and no batch norm.
/** @type {(conv: Conv, K: number) => number} */
export const parameters = ({ name, C, F }, K) => (name === "classifier" ? 9 * C * F + F : K * K * C * F + 2 * F);
// Backward needs the inputs of convolution and batch norm, in float32.
/** @type {(conv: Conv) => number} */
export const keptBytes = ({ name, H, W, C, F }) => 4 * H * W * (name === "classifier" ? C : C + F);
// A window's index takes two bits, so four channels fit into a byte.
/** @type {(conv: Conv) => number} */
export const indexBytes = ({ H, W, F }) => Math.ceil(H / 2) * Math.ceil(W / 2) * Math.ceil(F / 4);

/** @type {(pixels: Interval, K: number, size: number) => Interval} */
export const seenBy = ([low, high], K, size) => [Math.max(low - (K >> 1), 0), Math.min(high + (K >> 1), size - 1)];
// From windows back through a pool and an encoder stage, whose maps have `size` pixels.
/** @type {(windows: Interval, K: number, size: number) => Interval} */
export const encoderField = ([low, high], K, size) => seenBy([2 * low, Math.min(2 * high + 1, size - 1)], K, size);
// From the output of a decoder stage back to the input of the encoder stage of the same size.
/** @type {(sizes: number[], K: number, out: Interval) => Interval} */
export function field([size, ...deeper], K, out) {
  const [low, high] = seenBy(out, K, size).map((pixel) => pixel >> 1); // the windows that unpooling reads
  const below = deeper.length ? field(deeper, K, [low, high]) : [low, high];
  return encoderField([Math.min(below[0], low), Math.max(below[1], high)], K, size); // numbers and indices
}
