// A sum of products, as grids in the shape of the kernel and as a table.

import { colourOf, css, inkOn } from "walk/colours.js";
import { el, table, toggle } from "walk/elements.js";
import { link } from "walk/links.js";
import { format, short } from "walk/numbers.js";
import { state } from "walk/state.js";

/** @import { Child } from "report/dom.js" */
/** @import { Sum, Term } from "walk/explanation.js" */
/** @import { LoadedNode } from "walk/store.js" */

export const FEW_ROWS = 16; // number of rows that are shown until the reader asks for all
const MAX_CELLS = 64; // maximum number of cells in a grid

/**
 * Show one channel's part of a sum: values, weights and products, each at its position in the kernel.
 *
 * @param {LoadedNode} node
 * @param {Sum} sum
 * @param {number} channel
 */
export function kernelGrids(node, { terms: all, letter, rotated }, channel) {
  const [KH, KW] = node.windows.kernel, terms = all.filter((term) => term.channel === channel);
  if (!terms.length || KH * KW === 1 || KH * KW > MAX_CELLS) return null;
  const grid = (/** @type {string} */ name, /** @type {"value" | "weight" | "product"} */ key) => {
    const scale = Math.max(...terms.map((term) => Math.abs(term[key])));
    const cells = Array.from({ length: KH * KW }, (_, k) => {
      const term = terms.find((t) => t.i * KW + t.j === k);
      if (!term) return el("span", { class: "outside" });
      const rgb = colourOf(term[key], scale);
      return el("span", { style: `background: ${css(rgb)}; color: ${inkOn(rgb)}` }, short(term[key]));
    });
    const style = `grid-template-columns: repeat(${KW}, 1fr)`;
    return el("figure", { style: `--size: ${KW}` }, el("div", { class: "grid", style }, cells),
      el("figcaption", {}, name));
  };
  const part = terms.reduce((total, term) => total + term.product, 0);
  return el("div", { class: "grids" },
    el("p", {}, `Channel ${channel} of ${letter} contributes ${format(part)}:`),
    el("div", {},
      grid(letter + (rotated ? ", rotated by 180°" : ""), "value"), el("b", {}, "×"),
      grid("weight", "weight"), el("b", {}, "="),
      grid("product", "product")));
}

/**
 * Show the products with the running total, the largest first or in the kernel's order.
 *
 * @param {Sum} sum
 */
export function sumTable({ terms: inPlace, start, outside }) {
  const terms = [...inPlace];
  if (state.largestFirst) terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  const totals = [start ? start.value : 0]; // the totals before each term and at the end
  for (const { product } of terms) totals.push(totals[totals.length - 1] + product);
  const end = totals[terms.length], count = terms.length + (start ? 1 : 0);
  const few = state.allRows ? terms : terms.slice(0, FEW_ROWS - (start ? 1 : 0)), rest = terms.length - few.length;
  /** @type {Child[][]} */
  const rows = few.map((term, k) =>
    [link(term.name, term.source), term.value, weightCell(term), term.product, totals[k + 1]]);
  if (start) rows.unshift([start.name, "", "", start.value, start.value]);
  if (rest) rows.push([`and ${rest} more`, "", "", end - totals[few.length], end]);
  const weight = terms.length && terms[0].weightName.startsWith("weight") ? "weight" : "share";
  return el("div", {},
    el("p", { class: "choices" },
      toggle("largest first", state.largestFirst, () => { state.largestFirst = true; }),
      toggle("kernel order", !state.largestFirst, () => { state.largestFirst = false; }),
      count > FEW_ROWS ? toggle(`all ${count} rows`, state.allRows, () => { state.allRows = !state.allRows; }) : null),
    table(["number", "value", `× ${weight}`, "= product", "running total"], rows),
    outside ? el("p", { class: "quiet" }, `Outside the picture, ${outside} more products are 0.`) : null);
}

/** @param {Term} term */
const weightCell = ({ weight, weightName }) =>
  el("span", {}, format(weight), el("small", {}, weightName.replace("weight", " ")));
