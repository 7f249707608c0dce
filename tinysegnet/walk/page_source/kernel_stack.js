// One channel's part of a sum of products, in the shape of the kernel: value, weight and product of a position share a
// cell. The sum can be played in its order, position by position.

import { colourOf, css, inkOn } from "walk/colours.js";
import { el, svg } from "walk/elements.js";
import { linkTo } from "walk/links.js";
import { format, short } from "walk/numbers.js";
import { saveGif } from "walk/picture_file.js";

/** @import { Sum, Term } from "walk/explanation.js" */
/** @import { LoadedNode } from "walk/store.js" */

const MAX_CELLS = 64; // maximum number of cells in a grid
const FEW_CELLS = 25; // with more cells, each shows only its product
const DURATION = 6000; // milliseconds for the whole sum

/** @typedef {"value" | "weight" | "product"} Part */

/**
 * Show one channel's part of a sum, or nothing if the kernel has a single position or very many.
 *
 * @param {LoadedNode} node
 * @param {string} own   the name of the sum
 * @param {Sum} sum
 * @param {number} channel
 */
export function kernelStack(node, own, sum, channel) {
  const [KH, KW] = node.windows.kernel, terms = sum.terms.filter((term) => term.channel === channel);
  if (!terms.length || KH * KW === 1 || KH * KW > MAX_CELLS) return null;
  /** @type {Part[]} */
  const parts = KH * KW > FEW_CELLS ? ["product"] : ["value", "weight", "product"];
  const scales = new Map(parts.map((part) => [part, Math.max(...terms.map((term) => Math.abs(term[part])))]));
  const cells = Array.from({ length: KH * KW }, (_, k) => {
    const term = terms.find(({ i, j }) => i * KW + j === k);
    return term ? cell(own, term, parts, scales) : el("div", { class: "outside", title: "no number here: 0" });
  });
  const part = terms.reduce((total, { product }) => total + product, 0);
  const output = el("output", { class: "running" }), states = statesOf(sum, KW, cells, output);
  const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
    el("button", { type: "button", class: "choice", onclick }, text);
  const legend = parts.length > 1 ? `${sum.letter}, weight and product` : "the products";
  const turned = sum.rotated ? " The window is rotated by 180°, so that each value lies on its weight." : "";
  const empty = terms.length < cells.length ? " Hatched positions have no number, which counts as 0." : "";
  const leads = cells.some((each) => each.querySelector("button"));
  const how = leads ? ` A click shows how its ${sum.letter} was computed.` : "";
  return el("div", { class: "grids" },
    el("p", {}, `Channel ${channel} of ${sum.letter} contributes ${format(part)}:`),
    el("div", { class: "stack", style: `--size: ${KW}` }, cells),
    el("p", { class: "quiet" }, `Each cell shows ${legend}.${turned}${empty}`,
      el("span", { class: "screen-only" }, how)),
    el("p", { class: "play" }, button("play the sum", () => play(states, output)),
      button("save it as GIF", () => saveGif(states)), output));
}

/**
 * @param {string} own
 * @param {Term} term
 * @param {Part[]} parts
 * @param {Map<Part, number>} scales
 */
function cell(own, term, parts, scales) {
  const lines = parts.map((part) => {
    const rgb = colourOf(term[part], scales.get(part) ?? 0), sign = { value: "", weight: "× ", product: "= " }[part];
    const text = (parts.length > 1 ? sign : "") + short(term[part]);
    return el("span", { class: part, style: `background: ${css(rgb)}; color: ${inkOn(rgb)}` }, text);
  });
  const title = `${term.name} = ${format(term.value)}, ${term.weightName} = ${format(term.weight)}`;
  const onclick = linkTo(own, term.source);
  return el("div", { title }, onclick ? el("button", { type: "button", onclick }, lines) : lines);
}

/**
 * Return the states of the page while it adds the products of all channels in the kernel's order, as functions that
 * show them. The mark moves through the kernel and over the picture.
 *
 * @param {Sum} sum
 * @param {number} KW
 * @param {HTMLElement[]} cells
 * @param {HTMLElement} output
 */
function statesOf({ terms, start, letter, read }, KW, cells, output) {
  const mark = svg("rect", { width: 1, height: 1, class: "mark tap" });
  let total = start ? start.value : 0;
  const beginning = start ? `start with ${start.name} ${format(start.value)}` : "start with 0";
  const show = (/** @type {string} */ text, /** @type {number} */ place, /** @type {Term | null} */ term) => () => {
    cells.forEach((cell, k) => cell.toggleAttribute("data-now", k === place));
    output.textContent = text;
    if (!term) return mark.remove();
    const [, y, x] = term.source;
    mark.setAttribute("x", String(Math.min(x, read.W - 1)));
    mark.setAttribute("y", String(Math.min(y, read.H - 1)));
    document.querySelector(`section.panel[data-letter="${letter}"] svg`)?.append(mark);
  };
  const states = [show(beginning, -1, null)];
  for (const place of new Set(terms.map(({ i, j }) => i * KW + j))) {
    const here = terms.filter(({ i, j }) => i * KW + j === place);
    const added = here.reduce((part, { product }) => part + product, 0);
    total += added;
    const channels = here.length > 1 ? ` at this position, in ${here.length} channels` : "";
    const text = `${added < 0 ? "−" : "+"} ${short(Math.abs(added))}${channels}, total ${format(total)}`;
    states.push(show(text, place, here[0]));
  }
  return [...states, show(`The sum is ${format(total)}.`, -1, null)];
}

/**
 * @param {(() => void)[]} states
 * @param {HTMLElement} output
 */
function play(states, output) {
  const run = output.dataset.play = String(performance.now());
  const advance = (/** @type {number} */ k) => {
    if (!output.isConnected || output.dataset.play !== run) return;
    states[k]();
    if (k + 1 < states.length) setTimeout(() => advance(k + 1), DURATION / Math.max(9, states.length - 2));
  };
  advance(0);
}
