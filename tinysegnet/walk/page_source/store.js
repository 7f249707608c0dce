// The arrays and nodes of the payload, each unpacked when it is first needed.

import { textOf } from "report/dom.js";
import { data } from "walk/payload.js";

/** @import { PackedTensor, PackedWeight, Settings, Windows } from "walk/payload.js" */

/**
 * An array. `planes` has -127..127 per value, channel by channel; -128 marks non-finite values.
 *
 * @typedef {Omit<PackedTensor, "planes"> & { index: number, H: number, W: number, C: number, planes: Int8Array,
 *   contains: (y: number, x: number, c: number) => boolean,
 *   pixel: (y: number, x: number) => ArrayLike<number>,
 *   value: (y: number, x: number, c: number) => number }} Tensor
 *   contains: whether the page contains the exact number
 *   pixel: the values of all channels of a pixel
 *   value: the exact number; if the page does not contain it, it is computed from others, or NaN if that is impossible
 */

/**
 * A layer, the prediction or the loss, with its arrays. Which of the properties below `out` exist depends on its kind
 * and, for gradients, on whether the page has labels.
 *
 * @typedef {object} LoadedNode
 * @property {number} index
 * @property {string} name
 * @property {string} kind
 * @property {string} partner
 * @property {Tensor} x
 * @property {Tensor} out
 * @property {Tensor} other
 * @property {Tensor} result
 * @property {Tensor} dout
 * @property {Tensor} dx
 * @property {Tensor} dother
 * @property {Tensor} dresult
 * @property {Tensor} logits
 * @property {Uint8Array} labels
 * @property {Uint8Array} predicted   the predicted class of each pixel
 * @property {Windows} windows
 * @property {boolean} mixesChannels
 * @property {Settings} settings
 * @property {Record<string, Float32Array>} vectors
 * @property {Weight} weight
 * @property {(u: number, v: number, c: number) => number} position   of a maximum in its window, row by row
 */

/**
 * A weight by its row and column in the kernel and the channels of the larger and of the smaller side; undefined if the
 * page does not contain it. `whole`: the complete weight in this order, if the page contains it.
 *
 * @typedef {((i: number, j: number, large: number, small: number) => number | undefined) & { whole?: Float32Array
 *   }} Weight
 */

/** @type {Map<number, Promise<Tensor>>} */
const tensors = new Map();
/** @type {Map<number, Promise<LoadedNode>>} */
const nodes = new Map();
/** @type {Map<number, LoadedNode>} */
const loaded = new Map();

/** @type {(tensor: Tensor, y: number, x: number, c: number) => number} */
let compute = () => NaN;

/**
 * Register the function that computes a number that the page does not contain.
 *
 * @param {typeof compute} how
 */
export function computeMissing(how) {
  compute = how;
}

/**
 * Return the value of a key. It is created on first use.
 *
 * @template T
 * @param {Map<number, T>} kept
 * @param {number} key
 * @param {() => T} make
 * @returns {T}
 */
function once(kept, key, make) {
  const value = kept.get(key) ?? make();
  kept.set(key, value);
  return value;
}

/**
 * Return the bytes of a blob, which is compressed and encoded in base64.
 *
 * @param {number} blob
 */
async function bytesOf(blob) {
  const text = atob(textOf(`blob${blob}`));
  const packed = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) packed[k] = text.charCodeAt(k);
  const { readable, writable } = new DecompressionStream("deflate"), writer = writable.getWriter();
  writer.write(packed);
  writer.close();
  return new Uint8Array(await new Response(readable).arrayBuffer());
}

/**
 * Return the float32 numbers of a blob, which stores the lowest bytes of all numbers first and the highest bytes last.
 *
 * @param {number} blob
 */
export async function numbersOf(blob) {
  const bytes = await bytesOf(blob), count = bytes.length / 4, joined = new Uint32Array(count);
  for (let k = 0; k < count; k++) {
    joined[k] = bytes[k] | (bytes[count + k] << 8) | (bytes[2 * count + k] << 16) | (bytes[3 * count + k] << 24);
  }
  return new Float32Array(joined.buffer);
}

/**
 * Return an array.
 *
 * @param {number} index
 */
export function tensorOf(index) {
  return once(tensors, index, () => unpackTensor(index));
}

/**
 * @param {number} index
 * @returns {Promise<Tensor>}
 */
async function unpackTensor(index) {
  const packed = data.tensors[index];
  const [H, W, C] = packed.shape;
  const [planes, mask, numbers] = await Promise.all([
    bytesOf(packed.planes), bytesOf(packed.known.mask), numbersOf(packed.known.numbers),
  ]);
  if (packed.differences) {
    for (let k = 0; k < planes.length; k++) if (k % W) planes[k] += planes[k - 1];
  }
  const place = new Int32Array(H * W).fill(-1); // the index of a pixel among those with exact numbers
  for (let k = 0, count = 0; k < H * W; k++) if ((mask[k >> 3] >> (7 - (k & 7))) & 1) place[k] = count++;
  const channels = packed.known.channels;
  /** @type {Tensor} */
  const tensor = {
    ...packed, index, H, W, C, planes: new Int8Array(planes.buffer),
    contains: (y, x, c) => c < channels && place[y * W + x] >= 0,
    pixel: (y, x) => {
      const at = place[y * W + x] * channels;
      if (at >= 0 && channels === C) return numbers.subarray(at, at + C);
      return Float64Array.from({ length: C }, (_, c) => tensor.value(y, x, c));
    },
    value: (y, x, c) =>
      (tensor.contains(y, x, c) ? numbers[place[y * W + x] * channels + c] : compute(tensor, y, x, c)),
  };
  return tensor;
}

/**
 * @param {PackedWeight} packed
 * @returns {Promise<Weight>}
 */
async function weightOf({ shape: [, KW, A, B], whole, large: largePart, small: smallPart, shown }) {
  /** @type {(numbers: Float32Array, a: number, b: number) => Weight} */
  const reader = (numbers, a, b) => (i, j, large, small) => numbers[((i * KW + j) * a + large) * b + small];
  if (whole !== undefined) {
    const numbers = await numbersOf(whole);
    return Object.assign(reader(numbers, A, B), { whole: numbers });
  }
  const { large: a, small: b } = shown ?? { large: 0, small: 0 };
  const ofLarge = largePart === undefined ? null : reader(await numbersOf(largePart), a, B);
  const ofSmall = smallPart === undefined ? null : reader(await numbersOf(smallPart), A, b);
  return (i, j, large, small) => {
    if (ofSmall && small < b) return ofSmall(i, j, large, small);
    if (ofLarge && large < a) return ofLarge(i, j, large, small);
    return undefined;
  };
}

/**
 * Return a node with all its arrays.
 *
 * @param {number} index
 * @returns {Promise<LoadedNode>}
 */
export function nodeOf(index) {
  return once(nodes, index, () => unpackNode(index));
}

const TENSORS = /** @type {const} */ (
  ["x", "out", "other", "result", "dout", "dx", "dother", "dresult", "logits"]);

/** @param {number} index */
async function unpackNode(index) {
  const packed = data.nodes[index];
  /** @type {any} */
  const node = { ...packed, index, vectors: {} };
  for (const name of TENSORS) {
    const number = packed[name];
    if (number !== undefined && number !== null) node[name] = await tensorOf(number);
  }
  for (const [name, blob] of Object.entries(packed.vectors ?? {})) node.vectors[name] = await numbersOf(blob);
  if (packed.weight) node.weight = await weightOf(packed.weight);
  for (const name of /** @type {const} */ (["labels", "predicted"])) {
    const blob = packed[name];
    if (blob !== undefined) node[name] = await bytesOf(blob);
  }
  if (packed.positions !== undefined) {
    const bytes = await bytesOf(packed.positions);
    const { H, W } = node.windows.large === "in" ? node.out : node.x; // the smaller side
    node.position = (/** @type {number} */ u, /** @type {number} */ v, /** @type {number} */ c) =>
      bytes[(c * H + u) * W + v];
  }
  loaded.set(index, node);
  return node;
}

/**
 * Return a node if it is loaded.
 *
 * @param {number} index
 */
export const loadedNode = (index) => loaded.get(index);

/**
 * Return the pixel [y, x] with exact numbers that is nearest to a position [from the top, from the left], 0..1.
 *
 * @param {Tensor} tensor
 * @param {[number, number]} place
 * @returns {[number, number]}
 */
export function pixelAt({ grid: [rows, columns], H, W }, [top, left]) {
  return [nearest(rows, top * H - 0.5), nearest(columns, left * W - 0.5)];
}

/**
 * Return the pixel with exact numbers that is nearest to a position among those whose number in a channel is not 0. If
 * all are 0, return the nearest pixel.
 *
 * @param {Tensor} tensor
 * @param {[number, number]} place
 * @param {number} channel
 * @returns {[number, number]}
 */
export function livingPixel(tensor, place, channel) {
  const { grid: [rows, columns], H, W, value } = tensor, [top, left] = [place[0] * H - 0.5, place[1] * W - 0.5];
  let best = pixelAt(tensor, place), least = value(best[0], best[1], channel) ? 0 : Infinity;
  for (const y of rows) {
    for (const x of columns) {
      const distance = (y - top) ** 2 + (x - left) ** 2;
      if (distance < least && value(y, x, channel)) [best, least] = [[y, x], distance];
    }
  }
  return best;
}

/**
 * @param {number[]} numbers
 * @param {number} wanted
 */
function nearest(numbers, wanted) {
  return numbers.reduce((best, n) => (Math.abs(n - wanted) < Math.abs(best - wanted) ? n : best));
}
