// The page's data, as network_page.py embeds it.

import { textOf } from "report/dom.js";

/** @import { TrainingPictures } from "live/familiar.js" */

/**
 * @typedef {object} Payload
 * @property {string} title
 * @property {Network} network
 * @property {string | null} sample           data: URL of a picture
 * @property {TrainingPictures | null} known  the statistics of the training pictures
 * @property {boolean} averaged               whether `predict` averages several views of a picture
 */

/**
 * A description of the network for forward.js. The page reads only these parts.
 *
 * @typedef {object} Network
 * @property {ClassOfPixels[]} classes
 * @property {[number, number] | null} size   (H, W) of the training pictures
 * @property {number} size_multiple
 * @property {Layer[]} layers
 */

/** @typedef {{ name: string, color: [number, number, number] }} ClassOfPixels */

/**
 * The last layer of a stage has its name. Layers that restore a size have the name of the pool that reduced it.
 *
 * @typedef {{ name: string, kind: string, stage?: string, pool?: string | null, source?: string, [more: string]: any }} Layer
 */

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
