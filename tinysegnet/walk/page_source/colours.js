// The colours of numbers, in the light and the dark theme.

import { isDark } from "report/dom.js";
import { data } from "walk/payload.js";
import { state } from "walk/state.js";

/** @import { Tensor } from "walk/store.js" */

const NOT_FINITE = -128, RED = [226, 40, 48];
const SMALL = 64; // maximum width of a small picture, in pixels

export const theme = () => (isDark() ? "dark" : "light");

/** The colours of -127..127 in this theme, three bytes each. */
const ramp = () => data.colours[theme()];

/**
 * Return the colour [red, green, blue] of a value. It saturates at `scale` and -scale.
 *
 * @param {number} value
 * @param {number} scale
 */
export function colourOf(value, scale) {
  const strength = scale > 0 ? Math.max(-1, Math.min(1, value / scale)) : 0, k = 3 * (127 + Math.round(127 * strength));
  return ramp().slice(k, k + 3);
}

/** @param {number[]} rgb */
export const css = (rgb) => `rgb(${rgb.join(" ")})`;

/**
 * Return black or white, whichever has the higher contrast with this colour. It is at least 4.5, as WCAG 2 demands.
 *
 * @param {number[]} rgb
 */
export function inkOn(rgb) {
  const [red, green, blue] = rgb.map((part) => (part / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}

/**
 * Return the value at which colours saturate: the channel's own value, or one for all channels.
 *
 * @param {Tensor} tensor
 * @param {number} channel
 */
export const scaleOf = (tensor, channel) => (state.commonScale ? Math.max(...tensor.scales) : tensor.scales[channel]);

/** @type {Map<string, HTMLCanvasElement>} the pictures of the last drawing of the page */
const pictures = new Map();
/** @type {Set<HTMLCanvasElement>} those that the new drawing shows, too */
const used = new Set();

/**
 * Return what `view` makes. Its pictures are those of the last drawing as far as it shows the same.
 *
 * @template T
 * @param {() => T} view
 */
export function reusingPictures(view) {
  used.clear();
  const made = view();
  for (const [key, canvas] of pictures) if (!used.has(canvas)) pictures.delete(key);
  return made;
}

/**
 * Return a picture of a channel, drawn by `how` or taken from the last drawing.
 *
 * @param {typeof paint} how
 * @param {Tensor} tensor
 * @param {number} channel
 */
export function pictureOf(how, tensor, channel) {
  const key = [how.name, tensor.index, channel, scaleOf(tensor, channel), theme()].join(), kept = pictures.get(key);
  const canvas = kept && !used.has(kept) ? kept : document.createElement("canvas");
  if (canvas !== kept) how(canvas, tensor, channel);
  if (!kept) pictures.set(key, canvas);
  used.add(canvas);
  return canvas;
}

/**
 * Draw a channel, one pixel per value.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Tensor} tensor
 * @param {number} channel
 */
export function paint(canvas, tensor, channel) {
  const { H, W } = tensor;
  draw(canvas, planeOf(tensor, channel), H, W, tensor.scales[channel] / (scaleOf(tensor, channel) || 1));
}

/**
 * Draw a channel as a small picture. If it is wide, each pixel is the number farthest from 0 in a block.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Tensor} tensor
 * @param {number} channel
 */
export function paintSmall(canvas, tensor, channel) {
  const { H, W } = tensor, block = Math.ceil(W / SMALL), plane = planeOf(tensor, channel);
  const height = Math.ceil(H / block), width = Math.ceil(W / block), small = new Int8Array(height * width);
  for (let k = 0; k < small.length; k++) {
    const top = Math.floor(k / width) * block, left = (k % width) * block;
    let most = 0;
    for (let y = top; y < Math.min(H, top + block); y++) {
      for (let x = left; x < Math.min(W, left + block); x++) {
        const step = plane[y * W + x]; // NOT_FINITE, -128, is the farthest
        if (Math.abs(step) > Math.abs(most)) most = step;
      }
    }
    small[k] = most;
  }
  draw(canvas, small, height, width, tensor.scales[channel] / (scaleOf(tensor, channel) || 1));
}

/** @type {(tensor: Tensor, channel: number) => Int8Array} */
const planeOf = ({ planes, H, W }, channel) => planes.subarray(channel * H * W, (channel + 1) * H * W);

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Int8Array} plane
 * @param {number} H
 * @param {number} W
 * @param {number} stretch   the factor from the plane's numbers to the colours
 */
function draw(canvas, plane, H, W, stretch) {
  const picture = new ImageData(W, H), colours = ramp(), shades = new Uint8Array(4 * 256);
  shades.set([...RED, 255]);
  for (let step = NOT_FINITE + 1; step <= 127; step++) {
    const from = 3 * (127 + Math.round(step * stretch)), to = 4 * (step - NOT_FINITE);
    for (let part = 0; part < 3; part++) shades[to + part] = colours[from + part];
    shades[to + 3] = 255;
  }
  const pixels = new Uint32Array(picture.data.buffer), shadeOf = new Uint32Array(shades.buffer); // four bytes at once
  for (let k = 0; k < plane.length; k++) pixels[k] = shadeOf[plane[k] - NOT_FINITE];
  canvas.width = W;
  canvas.height = H;
  canvas.getContext("2d")?.putImageData(picture, 0, 0);
}
