// The arrays and nodes of the payload, each unpacked when it is first needed.

import { textOf } from "report/dom.js";
import { data } from "walk/payload.js";

/** @import { PackedNode, PackedTensor, PackedWeight, Settings, Way, Windows } from "walk/payload.js" */

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

/** @type {Map<number, Promise<Tensor>>} with their pictures */
const tensors = new Map();
/** @type {Map<number, Promise<Tensor>>} with or without their pictures */
const numbers = new Map();
/** @type {Map<string, Promise<LoadedNode>>} by index and way */
const nodes = new Map();
/** @type {Map<number, Promise<Parts>>} */
const parts = new Map();

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
 * @template K, T
 * @param {Map<K, T>} kept
 * @param {K} key
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
  const text = textOf(`blob${blob}`), { fromBase64 } = /** @type {any} */ (Uint8Array); // older browsers lack it
  const packed = fromBase64 ? fromBase64.call(Uint8Array, text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
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
export const tensorOf = (index) => once(tensors, index, () => addPictures(index));

/** @param {number} index */
async function addPictures(index) {
  const { planes: blob, differences, shape: [, W] } = data.tensors[index];
  const [tensor, planes] = await Promise.all([exactOf(index), bytesOf(blob)]);
  if (differences) {
    for (let row = 0; row < planes.length; row += W) {
      for (let k = row + 1; k < row + W; k++) planes[k] += planes[k - 1];
    }
  }
  return Object.assign(tensor, { planes: new Int8Array(planes.buffer) });
}

/**
 * Return an array whose pictures may be missing.
 *
 * @param {number} index
 */
const exactOf = (index) => once(numbers, index, () => unpackNumbers(index));

/**
 * @param {number} index
 * @returns {Promise<Tensor>}
 */
async function unpackNumbers(index) {
  const packed = data.tensors[index];
  const [H, W, C] = packed.shape;
  const [mask, numbers] = await Promise.all([bytesOf(packed.known.mask), numbersOf(packed.known.numbers)]);
  const place = new Int32Array(H * W).fill(-1); // the index of a pixel among those with exact numbers
  for (let k = 0, count = 0; k < H * W; k++) if ((mask[k >> 3] >> (7 - (k & 7))) & 1) place[k] = count++;
  const channels = packed.known.channels;
  /** @type {Tensor} */
  const tensor = {
    ...packed, index, H, W, C, planes: new Int8Array(),
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

const FORWARD = /** @type {const} */ (["x", "out", "other", "result", "logits"]);
const BACKWARD = /** @type {const} */ (["dout", "dx", "dother", "dresult"]);

/**
 * Return a node with all its arrays. Those that a step of this way does not show may lack their pictures.
 *
 * @param {number} index
 * @param {Way} [way]   all arrays have pictures if it is not given
 * @returns {Promise<LoadedNode>}
 */
export function nodeOf(index, way = "loss backward") {
  const shown = way === "loss backward" ? [...FORWARD, ...BACKWARD] : way === "backward" ? BACKWARD : FORWARD;
  return once(nodes, `${index} ${way}`, () => unpackNode(index, true, shown));
}

/**
 * Return a node for calculations. Its arrays may lack their pictures, and a forward step's node has no gradients.
 *
 * @type {(index: number, backward: boolean) => Promise<LoadedNode>}
 */
export const calculatingNodeOf = (index, backward) => unpackNode(index, backward, []);

/**
 * @param {number} index
 * @param {boolean} backward   whether gradients are needed, too
 * @param {readonly string[]} shown   the arrays that need their pictures
 */
async function unpackNode(index, backward, shown) {
  const packed = data.nodes[index];
  /** @type {any} */
  const node = { ...packed, index, ...await once(parts, index, () => partsOf(packed)) };
  for (const name of backward ? [...FORWARD, ...BACKWARD] : FORWARD) {
    const number = packed[name];
    const load = shown.includes(name) ? tensorOf : exactOf;
    if (number !== undefined && number !== null) node[name] = await load(number);
  }
  if (node.bytes) {
    const { H, W } = node.windows.large === "in" ? node.out : node.x; // the smaller side
    node.position = (/** @type {number} */ u, /** @type {number} */ v, /** @type {number} */ c) =>
      node.bytes[(c * H + u) * W + v];
  }
  return /** @type {LoadedNode} */ (node);
}

/**
 * What belongs to a node beside its arrays. `bytes`: the indices of a pooling or unpooling.
 *
 * @typedef {{ vectors: Record<string, Float32Array>, weight?: Weight, bytes?: Uint8Array, labels?: Uint8Array,
 *   predicted?: Uint8Array }} Parts
 */

/**
 * @param {PackedNode} packed
 * @returns {Promise<Parts>}
 */
async function partsOf({ vectors = {}, weight, positions, labels, predicted }) {
  /** @type {Parts} */
  const found = { vectors: {} };
  for (const [name, blob] of Object.entries(vectors)) found.vectors[name] = await numbersOf(blob);
  if (weight) found.weight = await weightOf(weight);
  if (positions !== undefined) found.bytes = await bytesOf(positions);
  if (labels !== undefined) found.labels = await bytesOf(labels);
  if (predicted !== undefined) found.predicted = await bytesOf(predicted);
  return found;
}

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
