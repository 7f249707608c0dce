// The reader's choices, and a function that redraws the page after a change.

import { data } from "walk/payload.js";

/** @typedef {{ name: string, step: number, place: [number, number], channel: number }} Stop */

/**
 * A change that the reader tries: the colour of pixels, a weight, a parameter with one value per channel, a label, or
 * unpooling without indices. `layer` is the name of the convolution that contains the weight or parameter.
 *
 * @typedef {{ kind: "pixels", y: number, x: number, size: number, rgb: number[] }
 *   | { kind: "weight", layer: string, at: [i: number, j: number, c: number, f: number], value: number, was: number }
 *   | { kind: "parameter", layer: string, name: string, channel: number, value: number, was: number, beta?: number }
 *   | { kind: "label", y: number, x: number, label: number }
 *   | { kind: "indices" }} Change
 */

export const state = {
  step: 0,
  /** @type {[number, number]} the chosen position in the picture, 0..1 from the top and from the left */
  place: data.place,
  /** @type {[number, number]} the position of the number that is shown, which may be a pixel near `place` */
  shown: data.place,
  /** whether the reader chose the position; until then, each step shows a number near it that is not 0 */
  settled: false,
  /** @type {Stop[]} the numbers from which the reader followed links */
  trail: [],
  /** the channel of the step's result */
  channel: 0,
  /** the channel of the array that the step's sum reads */
  reading: 0,
  /** @type {Record<string, number>} the channels that the reader chose, by family of steps (channels.js) */
  chosen: {},
  /** @type {Record<number, number>} the channels that the reader chose in arrays that steps read, by array */
  readings: {},
  /** whether the position comes from a click */
  clicked: false,
  /** whether all channels share one colour scale */
  commonScale: true,
  /** whether the products of a sum are sorted by size */
  largestFirst: true,
  /** whether long tables show all rows */
  allRows: false,
  /** @type {"maps" | "gradients" | "changes"} what the map of the network shows */
  mapShows: "maps",
  /** @type {Change[]} the changes that the reader tries */
  changes: [],
  /** whether the first step shows the journey of the chosen pixel */
  journey: false,
  /** the name of the weight that the reader wants to change; "": the one with the largest product */
  weight: "",
  /** whether all channels have small pictures */
  allChannels: false,
};

/** @type {() => Promise<void>} */
let draw = async () => {};

/**
 * Register the function that draws the page.
 *
 * @param {() => Promise<void>} render
 */
export function drawWith(render) {
  draw = render;
}

/** Redraw the page after the state has changed. */
export const redraw = () => draw();
