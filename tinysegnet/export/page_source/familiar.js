// Nine statistics of a picture, which tell whether it is unlike the pictures of the training (see
// tinysegnet/data/picture_statistics.py, whose numbers these are).

import { resizePicture } from "live/resample.js";

/** @typedef {{ mean: number[], std: number[], count: number }} TrainingPictures */

const AREA = 96 * 128, LEAST_SPREAD = 0.02;
const QUALITIES = ["contrast", "colourfulness", "amount of detail", "density of edges", "sharpness", "sharpness",
  "colour of edges", "colour of edges", "direction of edges"];

/**
 * Return by how many standard deviations a picture differs from those of the training, and in which quality most.
 *
 * @param {Uint8ClampedArray} rgba
 * @param {[number, number]} size
 * @param {TrainingPictures} known
 */
export function deviation(rgba, [h, w], known) {
  const { std, count } = known;
  const factor = Math.min(1, Math.sqrt(AREA / (h * w)));
  const H = Math.max(3, Math.round(factor * h)), W = Math.max(3, Math.round(factor * w));
  const squares = statistics(resizePicture(rgba, [h, w], [H, W]), H, W)
    .map((value, k) => ((value - known.mean[k]) / Math.max(std[k], LEAST_SPREAD)) ** 2);
  const expected = ((count - 1) / (count - 3)) * (1 + 1 / count);
  const distance = Math.sqrt(mean(squares) / expected);
  return { distance, quality: QUALITIES[squares.indexOf(Math.max(...squares))] };
}

/**
 * @param {Uint8Array} rgb
 * @param {number} H
 * @param {number} W
 */
function statistics(rgb, H, W) {
  const n = H * W, grey = new Float64Array(n), across = [], down = [];
  let saturation = 0;
  for (let k = 0; k < n; k++) {
    const [r, g, b] = rgb.subarray(3 * k, 3 * k + 3);
    grey[k] = (r + g + b) / 3;
    saturation += (Math.max(r, g, b) - Math.min(r, g, b)) / n;
  }
  /** @type {[number[], number[], number[]]} */
  const colours = [[], [], []];
  /** @type {[Pairs, Pairs]} */
  const next = [new Pairs(), new Pairs()];
  for (let y = 0; y < H; y++) {
    for (let x = 0; x < W; x++) {
      const k = y * W + x;
      if (x + 1 < W) {
        across.push(grey[k + 1] - grey[k]);
        for (let c = 0; c < 3; c++) colours[c].push(rgb[3 * k + 3 + c] - rgb[3 * k + c]);
        if (x > 0) next[0].add(grey[k + 1] - grey[k], grey[k] - grey[k - 1]);
      }
      if (y + 1 < H) {
        down.push(grey[k + W] - grey[k]);
        if (y > 0) next[1].add(grey[k + W] - grey[k], grey[k] - grey[k - W]);
      }
    }
  }
  const steps = [...across, ...down], meanGrey = mean(grey);
  const contrast = Math.max(Math.sqrt(mean(grey.map((value) => (value - meanGrey) ** 2))), 1);
  const rms = Math.max(Math.sqrt(mean(steps.map((step) => step ** 2))), 0.1);
  const square = (/** @type {number[]} */ values) => Math.max(mean(values.map((value) => value ** 2)), 0.01);
  const [red, green, blue] = colours;
  return [Math.log(contrast), Math.log1p(saturation), Math.log(rms / contrast), mean(steps.map(Math.abs)) / rms,
    next[0].correlation(), next[1].correlation(), Pairs.of(red, green).correlation(),
    Pairs.of(green, blue).correlation(), Math.log(square(across) / square(down))];
}

/** @param {ArrayLike<number>} values */
function mean(values) {
  let sum = 0;
  for (let k = 0; k < values.length; k++) sum += values[k];
  return sum / values.length;
}

/** Pairs of numbers, for their correlation around zero. */
class Pairs {
  constructor() {
    this.aa = this.bb = this.ab = this.count = 0;
  }

  /**
   * @param {number[]} a
   * @param {number[]} b
   */
  static of(a, b) {
    const pairs = new Pairs();
    a.forEach((value, k) => pairs.add(value, b[k]));
    return pairs;
  }

  /**
   * @param {number} a
   * @param {number} b
   */
  add(a, b) {
    this.aa += a * a;
    this.bb += b * b;
    this.ab += a * b;
    this.count++;
  }

  correlation() {
    return this.ab / this.count / Math.max(Math.sqrt(this.aa / this.count * this.bb / this.count), 1e-6);
  }
}
