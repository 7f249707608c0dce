// The page's data, as network_page.py embeds it.

import { textOf } from "report/dom.js";

/** @import { TrainingPictures } from "live/familiar.js" */
/** @import { Description } from "live/forward.js" */

/**
 * @typedef {object} Payload
 * @property {string} title
 * @property {Network} network
 * @property {string | null} sample           data: URL of a picture
 * @property {TrainingPictures | null} known  the statistics of the training pictures
 * @property {boolean} averaged               whether `predict` averages several views of a picture
 */

/**
 * A description of the network, as forward.js reads it. size: (H, W) of the training pictures.
 *
 * @typedef {Description & { classes: ClassOfPixels[], size: [number, number] | null }} Network
 */

/** @typedef {{ name: string, color: [number, number, number] }} ClassOfPixels */

/** @type {Payload} */
export const data = JSON.parse(textOf("data"));

/**
 * Return the bytes of an element with text in base64.
 *
 * @param {string} id
 */
export function bytesOf(id) {
  const text = atob(textOf(id)), bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  return bytes;
}
