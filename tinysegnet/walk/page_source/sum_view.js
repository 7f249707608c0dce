// A sum of products as a table.

import { el, table, toggle } from "walk/elements.js";
import { link } from "walk/links.js";
import { format } from "walk/numbers.js";
import { state } from "walk/state.js";
import { chooseWeight } from "walk/what_if_controls.js";

/** @import { Child } from "report/dom.js" */
/** @import { Sum, Term } from "walk/explanation.js" */

export const FEW_ROWS = 16; // number of rows that are shown until the reader asks for all

/**
 * Show the products with the running total, the largest first or in the kernel's order.
 *
 * @param {string} own   the name of the sum
 * @param {Sum} sum
 * @param {boolean} changeable   whether the reader can change the weights
 */
export function sumTable(own, { terms: inPlace, start, outside }, changeable) {
  const terms = [...inPlace];
  if (state.largestFirst) terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  const totals = [start ? start.value : 0]; // the totals before each term and at the end
  for (const { product } of terms) totals.push(totals[totals.length - 1] + product);
  const end = totals[terms.length], count = terms.length + (start ? 1 : 0);
  const few = state.allRows ? terms : terms.slice(0, FEW_ROWS - (start ? 1 : 0)), rest = terms.length - few.length;
  /** @type {Child[][]} */
  const rows = few.map((term, k) =>
    [link(own, term.name, term.source), term.value, weightCell(term, changeable), term.product, totals[k + 1]]);
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

/**
 * Show a weight and its place in the layer's weight. The place is a button if the reader can change the weight.
 *
 * @param {Term} term
 * @param {boolean} changeable
 */
function weightCell({ weight, weightName }, changeable) {
  const place = weightName.replace("weight", ""), onclick = () => chooseWeight(weightName);
  const attributes = { type: "button", class: "follow-down", "aria-label": `what if ${weightName} were different?` };
  return el("span", {}, format(weight), " ",
    el("small", {}, changeable ? el("button", { ...attributes, title: "change this weight", onclick }, place) : place));
}
