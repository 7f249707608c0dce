// One channel's part of a sum of products, in the shape of the kernel: value, weight and product of a position share a
// cell. The sum can be played in its order, position by position.

import { colourOf, css, inkOn } from "walk/colours.js";
import { el, svg } from "walk/elements.js";
import { format, short } from "walk/numbers.js";

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
 * @param {Sum} sum
 * @param {number} channel
 */
export function kernelStack(node, sum, channel) {
  const [KH, KW] = node.windows.kernel, terms = sum.terms.filter((term) => term.channel === channel);
  if (!terms.length || KH * KW === 1 || KH * KW > MAX_CELLS) return null;
  /** @type {Part[]} */
  const parts = KH * KW > FEW_CELLS ? ["product"] : ["value", "weight", "product"];
  const scales = new Map(parts.map((part) => [part, Math.max(...terms.map((term) => Math.abs(term[part])))]));
  const cells = Array.from({ length: KH * KW }, (_, k) => {
    const term = terms.find(({ i, j }) => i * KW + j === k);
    return term ? cell(term, parts, scales) : el("div", { class: "outside", title: "outside the picture: 0" });
  });
  const part = terms.reduce((total, { product }) => total + product, 0);
  const total = el("output", { class: "running" }), onclick = () => playSum(sum, KW, cells, total);
  const play = el("button", { type: "button", class: "choice", onclick }, "play the sum");
  const legend = parts.length > 1 ? `${sum.letter}, weight and product` : "the products";
  const turned = sum.rotated ? " The window is rotated by 180°, so that each value lies on its weight." : "";
  return el("div", { class: "grids" },
    el("p", {}, `Channel ${channel} of ${sum.letter} contributes ${format(part)}:`),
    el("div", { class: "stack", style: `--size: ${KW}` }, cells),
    el("p", { class: "quiet" }, `Each cell shows ${legend}.${turned}`),
    el("p", { class: "play" }, play, total));
}

/**
 * @param {Term} term
 * @param {Part[]} parts
 * @param {Map<Part, number>} scales
 */
function cell(term, parts, scales) {
  const lines = parts.map((part) => {
    const rgb = colourOf(term[part], scales.get(part) ?? 0), sign = { value: "", weight: "× ", product: "= " }[part];
    const text = (parts.length > 1 ? sign : "") + short(term[part]);
    return el("span", { class: part, style: `background: ${css(rgb)}; color: ${inkOn(rgb)}` }, text);
  });
  const title = `${term.name} = ${format(term.value)}, ${term.weightName} = ${format(term.weight)}`;
  return el("div", { title }, lines);
}

/**
 * Add the products of all channels in the kernel's order. The mark moves through the kernel and over the picture.
 *
 * @param {Sum} sum
 * @param {number} KW
 * @param {HTMLElement[]} cells
 * @param {HTMLElement} output
 */
function playSum({ terms, start, letter, read }, KW, cells, output) {
  const first = start ? start.value : 0, places = [...new Set(terms.map(({ i, j }) => i * KW + j))];
  const picture = document.querySelector(`section.panel[data-letter="${letter}"] svg`);
  const mark = svg("rect", { width: 1, height: 1, class: "mark tap" });
  picture?.append(mark);
  let total = first, position = 0;
  const clear = () => cells.forEach((each) => each.removeAttribute("data-now"));
  const advance = () => {
    if (!output.isConnected || output.dataset.play !== run) return mark.remove();
    clear();
    if (position === places.length) {
      output.textContent = `The sum is ${format(total)}.`;
      return mark.remove();
    }
    const place = places[position++], here = terms.filter(({ i, j }) => i * KW + j === place);
    const added = here.reduce((part, { product }) => part + product, 0), [, y, x] = here[0].source;
    total += added;
    cells[place].setAttribute("data-now", "");
    mark.setAttribute("x", String(Math.min(x, read.W - 1)));
    mark.setAttribute("y", String(Math.min(y, read.H - 1)));
    const channels = here.length > 1 ? ` at this position, in ${here.length} channels` : "";
    output.textContent = `${added < 0 ? "−" : "+"} ${short(Math.abs(added))}${channels}, total ${format(total)}`;
    setTimeout(advance, DURATION / Math.max(9, places.length));
  };
  const run = output.dataset.play = String(performance.now());
  output.textContent = start ? `start with ${start.name} ${format(first)}` : "start with 0";
  setTimeout(advance, start ? 900 : 300);
}
