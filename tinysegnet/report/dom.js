// Elements and texts of a page.

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
 * Return the text of an element of the page.
 *
 * @param {string} id
 * @returns {string}
 */
export function textOf(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`This page is damaged: the element #${id} is missing.`);
  return element.textContent ?? "";
}

/** Return whether the page is dark: by the reader's choice on the page or, without one, by the system's. */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
