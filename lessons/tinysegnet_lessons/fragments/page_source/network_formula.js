// The maps of a SegNet with one convolution per stage, their costs, and the receptive field of a number.

import { range } from "./shared.js";

/** @typedef {{ stages: number, channels: number, H: number, W: number, K: number, doubled: boolean, classes: number }} Settings */
/** @typedef {{ name: string, level: number, H: number, W: number, C: number, F: number, last: boolean }} Conv */

/** @type {(settings: Settings) => Conv[]} */
export function convolutions({ stages, channels, H, W, doubled, classes }) {
  const width = (/** @type {number} */ level) => channels * (doubled ? 2 ** level : 1);
  const half = (/** @type {number} */ size, /** @type {number} */ level) => Math.ceil(size / 2 ** level); // odd sizes are rounded up
  const conv = (/** @type {string} */ name, /** @type {number} */ level, /** @type {number} */ C, /** @type {number} */ F, last = false) =>
    ({ name, level, H: half(H, level), W: half(W, level), C, F, last });
  const encoder = range(stages).map((k) => conv(`encoder${k + 1}`, k, k ? width(k - 1) : 3, width(k)));
  const decoder = range(stages).reverse().map((k) => conv(`decoder${k + 1}`, k, width(k), width(Math.max(k - 1, 0))));
  return [...encoder, ...decoder, conv("classifier", 0, width(0), classes, true)];
}

// K K C F weights; and batch norm's gamma and beta, or the classifier's bias. The classifier has a 3x3 kernel.
/** @type {(conv: Conv, K: number) => number} */
export const parameters = ({ C, F, last }, K) => (last ? 9 * C * F + F : K * K * C * F + 2 * F);

// Backward needs the inputs of convolution and batch norm, in float32.
/** @type {(conv: Conv) => number} */
export const keptBytes = ({ H, W, C, F, last }) => 4 * H * W * (last ? C : C + F);

// Two bits per window, so four channels fit into a byte.
/** @type {(conv: Conv) => number} */
export const indexBytes = ({ H, W, F }) => Math.ceil(H / 2) * Math.ceil(W / 2) * Math.ceil(F / 4);

// From the last map back to the picture: the pixels low..high of one axis on which pixel `at` depends.
/** @type {(sizes: number[], K: number, at: number, bottleneck: boolean) => [number, number]} */
export function field(sizes, K, at, bottleneck) {
  let low = at, high = at;
  const wider = (/** @type {number} */ size, /** @type {number} */ reach) => { low = Math.max(low - reach, 0); high = Math.min(high + reach, size - 1); };
  /** @type {[number, number][]} */
  const indices = []; // unpooling also depends on all pixels of the windows whose indices it reads
  if (!bottleneck) {
    wider(sizes[0], 1); // the classifier
    for (const size of sizes) {
      wider(size, (K - 1) / 2);
      [low, high] = [low >> 1, high >> 1];
      indices.push([2 * low, 2 * high + 1]);
    }
  }
  for (const k of range(sizes.length).reverse()) {
    const [first, last] = indices[k] ?? [Infinity, -Infinity];
    [low, high] = [Math.min(2 * low, first), Math.min(Math.max(2 * high + 1, last), sizes[k] - 1)];
    wider(sizes[k], (K - 1) / 2);
  }
  return [low, high];
}
