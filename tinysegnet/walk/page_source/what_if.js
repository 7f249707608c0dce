// The network with the reader's changes. The page's own forward pass computes it in float32.

import { LiveNetwork } from "walk/forward.js";
import { data } from "walk/payload.js";
import { stages } from "walk/stages.js";
import { state } from "walk/state.js";
import { nodeOf, numbersOf } from "walk/store.js";

/** @import { Change } from "walk/state.js" */

/** @typedef {{ values: Float32Array, H: number, W: number, C: number }} StageMap */

/**
 * A run of the network. `loss` is NaN without labels.
 *
 * @typedef {{ rgb: Uint8Array, classes: Uint8Array, logits: Float32Array, maps: Map<string, StageMap>, loss: number
 *   }} Run
 */

/** @typedef {{ picture: Uint8ClampedArray, H: number, W: number, weights: Float32Array,
 *   kernels: Uint8Array<ArrayBuffer> }} Inputs */

/** @type {Promise<Inputs> | undefined} */
let inputs;
/** @type {Map<string, Promise<Run>>} */
const runs = new Map();

/** Return the run with the reader's changes. */
export const changedRun = () => runWith(state.changes);

/** Return the run without changes. */
export const plainRun = () => runWith([]);

/** @param {Change[]} changes */
function runWith(changes) {
  const key = JSON.stringify(changes), found = runs.get(key) ?? compute(changes);
  for (const old of runs.keys()) if (old !== key && old !== "[]") runs.delete(old); // a run has all maps of all stages
  runs.set(key, found);
  return found;
}

/** @returns {Promise<Inputs>} */
async function load() {
  const { weights, kernels } = /** @type {NonNullable<typeof data.live>} */ (data.live);
  const image = new Image();
  image.src = data.pictures.picture;
  await image.decode();
  const { naturalWidth: W, naturalHeight: H } = image, context = new OffscreenCanvas(W, H).getContext("2d");
  context?.drawImage(image, 0, 0);
  const picture = context?.getImageData(0, 0, W, H).data ?? new Uint8ClampedArray();
  const code = Uint8Array.from(atob(kernels), (character) => character.charCodeAt(0));
  return { picture, H, W, weights: await numbersOf(weights), kernels: code };
}

/**
 * @param {Change[]} changes
 * @returns {Promise<Run>}
 */
async function compute(changes) {
  inputs ??= load();
  const { picture, H, W, weights: values, kernels } = await inputs;
  const { description: given } = /** @type {NonNullable<typeof data.live>} */ (data.live);
  const description = structuredClone(given), weights = values.slice();
  const rgb = new Uint8Array(3 * H * W).map((_, k) => picture[4 * Math.floor(k / 3) + (k % 3)]);
  const isGamma = (/** @type {Change} */ change) => Number(change.kind === "parameter" && change.name === "gamma");
  const ordered = changes.toSorted((a, b) => isGamma(b) - isGamma(a)); // gamma multiplies what the others add to
  for (const change of ordered) apply(change, description.layers, weights, rgb, H, W);
  const network = await LiveNetwork.create(description, weights, kernels);
  /** @type {Run["maps"]} */
  const maps = new Map();
  const { logits, labels: classes } = network.forward(rgb, H, W, (stage, map, height, width, channels) =>
    maps.set(stage, { values: map.slice(), H: height, W: width, C: channels }));
  maps.set(stages[stages.length - 1].name, { values: logits, H, W, C: logits.length / classes.length });
  return { rgb, classes, logits, maps, loss: await lossOf(logits, changes) };
}

/**
 * @param {Change} change
 * @param {Record<string, any>[]} layers
 * @param {Float32Array} weights
 * @param {Uint8Array} rgb
 * @param {number} H
 * @param {number} W
 */
function apply(change, layers, weights, rgb, H, W) {
  if (change.kind === "pixels") {
    const { y, x, size, rgb: colour } = change, half = (size - 1) / 2;
    for (let row = Math.max(0, y - half); row <= Math.min(H - 1, y + half); row++) {
      for (let column = Math.max(0, x - half); column <= Math.min(W - 1, x + half); column++) {
        rgb.set(colour, 3 * (row * W + column));
      }
    }
  } else if (change.kind === "indices") {
    for (const layer of layers) if (layer.kind === "max_unpool2d") layer.fixed = true;
  } else if (change.kind === "weight") {
    const { weights: stored, kernel, outputs } = layerOf(layers, change.layer), { at, length, block, bias } = stored;
    const [i, j, c, f] = change.at, rows = length / (Math.ceil(bias.length / block) * block);
    const channels = outputs === undefined ? 1 : (rows - 1) / (kernel[0] * kernel[1]); // depthwise: one per kernel
    const row = 1 + (i * kernel[1] + j) * channels + (outputs === undefined ? 0 : c);
    weights[at + (Math.floor(f / block) * rows + row) * block + (f % block)] = change.value;
  } else if (change.kind === "parameter") {
    // out = scale * (W x) + bias, where a change of gamma multiplies scale and bias - beta
    const { weights: { scale, bias } } = layerOf(layers, change.layer), { channel: f, beta = 0 } = change;
    if (change.name === "gamma") {
      const factor = change.value / change.was;
      scale[f] *= factor;
      bias[f] = (bias[f] - beta) * factor + beta;
    } else {
      bias[f] += (change.value - change.was) * (change.name === "bias" ? scale[f] : 1);
    }
  }
}

/**
 * @param {Record<string, any>[]} layers
 * @param {string} name
 */
const layerOf = (layers, name) => /** @type {Record<string, any>} */ (layers.find((layer) => layer.name === name));

/**
 * Return the loss of logits, with the labels of the page and the reader's.
 *
 * @param {Float32Array} logits
 * @param {Change[]} changes
 */
async function lossOf(logits, changes) {
  const index = data.nodes.findIndex(({ name, kind }) => name === "loss" && kind === "loss");
  if (index < 0) return NaN;
  const { labels: given, settings: { weights }, out: { W } } = await nodeOf(index, "loss"), labels = given.slice();
  for (const change of changes) if (change.kind === "label") labels[change.y * W + change.x] = change.label;
  const K = logits.length / labels.length;
  let sum = 0, count = 0;
  labels.forEach((label, k) => {
    if (label === 255) return;
    const scores = K === 1 ? [0, logits[k]] : logits.subarray(k * K, (k + 1) * K), largest = Math.max(...scores);
    let total = 0;
    for (const score of scores) total += Math.exp(score - largest);
    sum += weights[label] * (Math.log(total) + largest - scores[label]);
    count += 1;
  });
  return count ? sum / count : 0;
}
