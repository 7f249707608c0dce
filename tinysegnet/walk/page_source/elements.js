// Elements of the page.

import { el } from "report/dom.js";
import { format } from "walk/numbers.js";
import { redraw } from "walk/state.js";

export { byId, el, svg } from "report/dom.js";

/** @import { Child, Attributes } from "report/dom.js" */

/**
 * Create an element from HTML. Use it only for tinysegnet's own texts, never for names from outside.
 *
 * @param {keyof HTMLElementTagNameMap} tag
 * @param {Attributes} attributes
 * @param {string} html
 */
export function rich(tag, attributes, html) {
  const element = el(tag, attributes);
  element.innerHTML = html;
  return element;
}

/**
 * Create a toggle button. A press changes the state and redraws the page.
 *
 * @param {string} text
 * @param {boolean} down
 * @param {() => void} change
 */
export function toggle(text, down, change) {
  const press = () => {
    change();
    redraw();
  };
  return el("button", { type: "button", class: "choice", "aria-pressed": String(down), onclick: press }, text);
}

/**
 * Create a table with formatted numbers. If all heads are empty, it has no header row.
 *
 * @param {Child[]} heads
 * @param {Child[][]} rows
 */
export function table(heads, rows) {
  const head = el("thead", {}, el("tr", {}, heads.map((text) => (text ? el("th", { scope: "col" }, text) : el("td")))));
  const cell = (/** @type {Child} */ content) =>
    (typeof content === "number" ? el("td", { class: "number" }, format(content)) : el("td", {}, content));
  const body = el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map(cell))));
  return el("div", { class: "wide" }, el("table", {}, heads.some(Boolean) ? head : null, body));
}
