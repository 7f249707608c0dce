// Elements of the page.

import { format } from "walk/numbers.js";
import { redraw } from "walk/state.js";

/** @typedef {Node | string | number | null | undefined | Child[]} Child */
/** @typedef {string | number | boolean | null | undefined | ((event: any) => void)} Attribute */
/** @typedef {{ [name: string]: Attribute }} Attributes */

/**
 * Return an element of the template.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`This page is damaged: the element #${id} is missing.`);
  return element;
}

/**
 * Create an element: el("p", { class: "quiet" }, "text", other elements). Handlers are functions: { onclick: f }.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]  true: present without a value; false, null, undefined: absent
 * @param {...Child} children        null and undefined are left out
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

/**
 * @param {Element} element
 * @param {Child[]} children
 */
function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child instanceof Node) element.append(child);
    else if (child !== null && child !== undefined) element.append(String(child));
  }
}

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
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} attributes
 */
export function svg(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
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
