// The network as a U: the encoder's stages go down, the decoder's go up, and links show what decoders take from pools.

import { el } from "report/dom.js";
import { data } from "live/payload.js";

/** @import { Maps } from "live/passes.js" */

/** @typedef {{ name: string, side: "down" | "up", row: number, link: string, adds: string }} Place */

/** @type {{ [kind: string]: string }} what each kind of layer takes from its pool */
const LINKS = { max_unpool2d: "indices", upsample: "size", conv_transpose2d: "size" };
// The colours of 0, of half the maximum, and of the maximum.
const DARK = [14, 17, 30], MIDDLE = [58, 110, 196], BRIGHT = [255, 246, 214];

/**
 * Place the stages in columns and rows. A decoder's stage stands in the row of the pool whose size it restores or,
 * without a pool, one row above the stage before.
 *
 * @returns {Place[]}
 */
export function placesOf(layers = data.network.layers) {
  /** @type {Map<string, number>} */
  const rowOfPool = new Map();
  /** @type {Place[]} */
  const places = [];
  /** @type {typeof layers} */
  let stage = [];
  for (const layer of layers) {
    stage.push(layer);
    if (!layer.stage) continue;
    const up = stage.find(({ kind, pool }) => LINKS[kind] && pool) ?? stage.find(({ kind }) => LINKS[kind]);
    const adds = stage.find(({ kind }) => kind === "skip_add")?.source ?? "", before = places.at(-1)?.row ?? 0;
    const place = { name: layer.stage, side: up ? "up" : "down", row: before + 1, link: "", adds };
    if (up) place.row = rowOfPool.get(up.pool) ?? Math.max(1, before - 1);
    if (up?.pool) place.link = up.fixed ? "size" : LINKS[up.kind];
    for (const { kind, name } of stage) if (kind === "max_pool2d") rowOfPool.set(name, place.row);
    places.push(/** @type {Place} */ (place));
    stage = [];
  }
  return places;
}

export class Stages {
  /** @param {HTMLElement} container */
  constructor(container) {
    const places = placesOf();
    this.count = places.length;
    /** @type {Map<string, { box: HTMLElement, size: HTMLElement, row: HTMLElement, adds: string }>} */
    this.boxes = new Map();
    for (const { name, side, row, link, adds } of places) {
      const size = el("span", { class: "size" }), maps = el("div", { class: "maps" });
      const title = `${side === "down" ? "↓" : "↑"} ${name.replace(/(\D)(\d+)$/, "$1 $2")}`;
      const box = el("figure", { class: `stage-box ${side}`, style: `--row: ${row}` },
        el("figcaption", {}, el("b", {}, title), size), maps);
      container.append(box);
      if (link) container.append(el("div", { class: `link ${link}`, style: `--row: ${row}` }, el("span", {}, link)));
      this.boxes.set(name, { box, size, row: maps, adds });
    }
    container.append(el("div", { class: "bottom", style: `--row: ${Math.max(...places.map(({ row }) => row)) + 1}` }));
    this.done = 0;
  }

  /**
   * Show the feature maps of a stage, and return the share of the stages that are ready.
   *
   * @param {string} name
   * @param {Maps} maps
   */
  show(name, { height, width, planes, channels }) {
    const stage = this.boxes.get(name);
    if (!stage) return 0;
    stage.size.textContent = `${height} × ${width}${stage.adds && `, adds ${stage.adds}`}`;
    while (stage.row.children.length > planes.length) stage.row.lastChild?.remove();
    planes.forEach((plane, k) => {
      const found = stage.row.children[k] ?? stage.row.appendChild(el("canvas", { role: "img" }));
      const canvas = /** @type {HTMLCanvasElement} */ (found);
      canvas.setAttribute("aria-label", `feature map ${channels[k]} of ${name}`);
      canvas.title = `channel ${channels[k]}`;
      paint(canvas, plane, height, width);
    });
    this.done = Array.from(this.boxes.keys()).indexOf(name) + 1;
    for (const [other, { box }] of this.boxes) box.classList.toggle("active", other === name);
    return this.done / this.count;
  }

  /** Show that no stage is running. */
  rest() {
    for (const { box } of this.boxes.values()) box.classList.remove("active");
  }
}

const RAMP = Uint32Array.from({ length: 256 }, (_, value) => {
  const [from, to, t] = value < 128 ? [DARK, MIDDLE, value / 128] : [MIDDLE, BRIGHT, (value - 128) / 127];
  const [r, g, b] = from.map((start, c) => Math.round(start + t * (to[c] - start)));
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
});

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} plane
 * @param {number} height
 * @param {number} width
 */
function paint(canvas, plane, height, width) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  for (let k = 0; k < plane.length; k++) pixels[k] = RAMP[plane[k]];
  context.putImageData(image, 0, 0);
}
