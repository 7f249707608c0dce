// What the reader has chosen, and how the page is drawn again after a change.

export const state = {
  step: 0,
  /** @type {[number, number]} the chosen place of the picture, 0..1 from above and from the left */
  place: [0.5, 0.5],
  /** the channel of the step's result */
  channel: 0,
  /** the channel of what the step reads */
  reading: 0,
  /** @type {Record<string, number>} the channels that the reader chose, by family of steps (channels.js) */
  chosen: {},
  /** @type {Record<number, number>} the channels that the reader chose in what a step reads, by array */
  readings: {},
  /** the place comes from a click */
  clicked: false,
  /** one colour scale for all channels */
  commonScale: true,
  /** products of a sum by size, not by place */
  largestFirst: true,
  /** all rows of a long table */
  allRows: false,
  /** all channels as small pictures */
  allChannels: false,
};

/** @type {() => Promise<void>} */
let draw = async () => {};

/**
 * Register what draws the page.
 *
 * @param {() => Promise<void>} render
 */
export function drawWith(render) {
  draw = render;
}

/** Draw the page again, after a change of the state. */
export const redraw = () => draw();
