// The classes in their colours over the picture, as `tinysegnet predict` paints them.

import { data } from "live/payload.js";

const BOUNDARY = 0.6; // boundaries of classes are painted more strongly
const VEIL = [24, 24, 28, 0.62]; // over the other classes while one is highlighted

/**
 * Paint class colours on a transparent canvas of the labels' size.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} labels
 * @param {[number, number]} size
 * @param {number} opacity            0..1
 * @param {number | null} highlighted the only class to show
 */
export function paintOverlay(canvas, labels, [H, W], opacity, highlighted) {
  if (canvas.width !== W || canvas.height !== H) Object.assign(canvas, { width: W, height: H });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(W, H), pixels = new Uint32Array(image.data.buffer);
  const edge = opacity > 0 ? opacity + (1 - opacity) * BOUNDARY : 0;
  const colors = data.network.classes.map(({ color }, k) => {
    if (highlighted !== null && highlighted !== k) return [packed(VEIL), packed(VEIL)];
    const [r, g, b] = color, strong = highlighted === k ? Math.max(opacity, 0.6) : opacity;
    return [packed([r, g, b, strong]), packed([r, g, b, Math.max(edge, strong)])];
  });
  for (let y = 0, k = 0; y < H; y++) {
    for (let x = 0; x < W; x++, k++) {
      const label = labels[k];
      const boundary = (x + 1 < W && labels[k + 1] !== label) || (y + 1 < H && labels[k + W] !== label);
      pixels[k] = colors[label][boundary ? 1 : 0];
    }
  }
  context.putImageData(image, 0, 0);
}

/**
 * Return a colour as the bytes of a canvas, in the order of little-endian machines.
 *
 * @param {number[]} rgba  opacity 0..1
 */
const packed = ([r, g, b, a]) => ((Math.round(255 * a) << 24) | (b << 16) | (g << 8) | r) >>> 0;

/**
 * Save picture and overlay as a PNG file.
 *
 * @param {HTMLCanvasElement} picture
 * @param {HTMLCanvasElement} overlay
 * @param {string} name
 */
export async function savePng(picture, overlay, name) {
  const both = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
  const context = /** @type {CanvasRenderingContext2D} */ (both.getContext("2d"));
  context.drawImage(picture, 0, 0);
  context.drawImage(overlay, 0, 0);
  const blob = await new Promise((resolve) => { both.toBlob(resolve, "image/png"); });
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
