// One pass: resize the picture, run the network, find the class of every pixel. Runs in a worker or in the page itself.

import { deviation } from "live/familiar.js";
import { LiveNetwork } from "live/forward.js";
import { largestClass, resizePicture } from "live/resample.js";

/** @import { TrainingPictures } from "live/familiar.js" */
/** @import { Network } from "live/payload.js" */

/**
 * @typedef {{ kind: "start", network: Network, known: TrainingPictures | null, weights: Uint8Array,
 *   wasm: Uint8Array<ArrayBuffer> }} Start
 */

/**
 * A picture. compare: also compare it with the training pictures. choose: choose the feature maps to show.
 *
 * @typedef {{ kind: "picture", id: number, rgba: Uint8ClampedArray, size: [number, number],
 *   input: [number, number], compare: boolean, choose: boolean }} Picture
 */

/** @typedef {{ height: number, width: number, planes: Uint8Array[], channels: number[] }} Maps  strongest first */

/** @typedef {{ kind: "stage", id: number, name: string, maps: Maps }} Stage */

/**
 * logits: (h, w, K) at the size of the network's input. time: in milliseconds, of all, and of the network alone.
 *
 * @typedef {{ kind: "done", id: number, size: [number, number], labels: Uint8Array, logits: Float32Array,
 *   shape: [number, number, number], time: number, networkTime: number }} Done
 */

/**
 * How far the picture is from those of the training, in standard deviations, and in which quality most.
 *
 * @typedef {{ kind: "compared", id: number, distance: number, quality: string }} Compared
 */

/** @typedef {{ kind: "ready" } | Stage | Done | Compared | { kind: "failed", id?: number, message: string }} Answer */
/** @typedef {(answer: Answer, transfer?: Transferable[]) => void} Post */

const SHOWN = 4; // feature maps per stage

/**
 * Return a function that answers messages.
 *
 * @param {Post} post
 * @returns {(message: Start | Picture) => Promise<void>}
 */
export function responder(post) {
  /** @type {LiveNetwork} */
  let network;
  /** @type {TrainingPictures | null} */
  let known = null;
  /** @type {Map<string, number[]>} the channels that are shown, by stage */
  const chosen = new Map();
  return async (message) => {
    try {
      if (message.kind === "start") {
        network = await LiveNetwork.create(message.network, message.weights, message.wasm);
        known = message.known;
        post({ kind: "ready" });
      } else {
        const { id, rgba, size, compare } = message;
        if (message.choose) chosen.clear(); // between the frames of a camera, the same feature maps stay
        const done = run(network, chosen, message, post);
        if (compare && known) post({ kind: "compared", id, ...deviation(rgba, size, known) });
        post(done, [done.labels.buffer, done.logits.buffer]);
      }
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      post({ kind: "failed", id: message.kind === "picture" ? message.id : undefined, message: text });
    }
  };
}

/**
 * @param {LiveNetwork} network
 * @param {Map<string, number[]>} chosen
 * @param {Picture} picture
 * @param {Post} post
 * @returns {Done}
 */
function run(network, chosen, { id, rgba, size, input }, post) {
  const began = performance.now(), [h, w] = input;
  const rgb = resizePicture(rgba, size, input), started = performance.now();
  const { logits: raw } = network.forward(rgb, h, w, (name, values, height, width, channels) => {
    const maps = strongest(values, height, width, channels, chosen, name);
    post({ kind: "stage", id, name, maps }, maps.planes.map((plane) => plane.buffer));
  });
  const networkTime = performance.now() - started, logits = perClass(raw, h * w);
  const K = logits.length / (h * w), labels = largestClass(logits, [h, w, K], size);
  return { kind: "done", id, size, labels, logits, shape: [h, w, K], time: performance.now() - began, networkTime };
}

/**
 * Return one logit per class. A single logit z becomes (0, z), because sigmoid(z) = softmax(0, z)[1].
 *
 * @param {Float32Array} logits
 * @param {number} pixels
 */
function perClass(logits, pixels) {
  if (logits.length > pixels) return logits;
  const both = new Float32Array(2 * pixels);
  logits.forEach((z, k) => { both[2 * k + 1] = z; });
  return both;
}

/**
 * Return the channels with the largest standard deviations as pictures of 8 bits. Brightness shows the absolute value.
 *
 * @param {Float32Array} values  (height, width, channels)
 * @param {number} height
 * @param {number} width
 * @param {number} channels
 * @param {Map<string, number[]>} chosen
 * @param {string} stage
 * @returns {Maps}
 */
function strongest(values, height, width, channels, chosen, stage) {
  const known = chosen.get(stage) ?? mostVaried(values, channels).slice(0, SHOWN);
  chosen.set(stage, known);
  const planes = known.map((c) => {
    const plane = new Uint8Array(height * width);
    let largest = 1e-12;
    for (let k = c; k < values.length; k += channels) largest = Math.max(largest, Math.abs(values[k]));
    for (let i = 0; i < plane.length; i++) {
      plane[i] = 255 * Math.sqrt(Math.abs(values[i * channels + c]) / largest); // the root makes small numbers visible
    }
    return plane;
  });
  return { height, width, planes, channels: known };
}

/**
 * Return the numbers of all channels, the one with the largest standard deviation first.
 *
 * @param {Float32Array} values
 * @param {number} channels
 */
function mostVaried(values, channels) {
  const sums = new Float64Array(channels), squares = new Float64Array(channels), count = values.length / channels;
  for (let k = 0, c = 0; k < values.length; k++, c = c + 1 === channels ? 0 : c + 1) {
    sums[c] += values[k];
    squares[c] += values[k] * values[k];
  }
  const variance = sums.map((sum, c) => squares[c] / count - (sum / count) ** 2);
  return Array.from(variance.keys()).sort((a, b) => variance[b] - variance[a]);
}
