// What all fragments share: elements, controls, and the theme and height of the frame.

/** @typedef {Node | string | number | null | Child[]} Child */
/** @typedef {{ [name: string]: string | number | boolean | null | ((event: any) => void) }} Attributes */

/** @param {number} count */
export const range = (count) => Array.from({ length: count }, (_, k) => k);

/** @param {number[]} numbers */
export const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/**
 * Write a number with a true minus sign.
 *
 * @param {number} value
 * @param {number} [digits]  significant digits
 */
export function format(value, digits = 4) {
  const size = Math.abs(value), extreme = Number.isFinite(size) && size !== 0 && (size < 1e-3 || size >= 1e5);
  const plain = String(Number(value.toPrecision(digits)));
  const text = extreme ? value.toExponential(digits - 2).replace(/\.0+e/, "e") : plain;
  return text.replace(/-/g, "−");
}

/** @param {number} value */
export const term = (value) => (value < 0 ? `(${format(value, 3)})` : format(value, 3));

/**
 * @template {Element} T
 * @param {T} element
 * @param {Attributes} attributes
 * @param {Child[]} children
 */
function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(.../** @type {(Node | string)[]} */ (children.flat(9).filter((child) => child !== null)));
  return element;
}

/**
 * Create an element: el("p", { class: "quiet", onclick: f }, "text", other elements).
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export const el = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export const svg = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

let controls = 0; // for ids

/**
 * Create a slider with its name and value. `text` writes the value; `set` moves the slider from outside.
 *
 * @param {string} name
 * @param {{ min: number, max: number, step?: number, value: number, text?: (value: number) => string }} settings
 * @param {(value: number) => void} change
 */
export function slider(name, { min, max, step = 1, value, text = format }, change) {
  const id = `control${controls++}`,
    output = el("output", { for: id });
  const input = el("input", {
    type: "range",
    id,
    min,
    max,
    step,
    oninput: () => {
      set(Number(input.value));
      change(Number(input.value));
    },
  });
  /** @param {number} now */
  function set(now) {
    input.value = String(now);
    output.textContent = text(now);
    input.setAttribute("aria-valuetext", text(now));
  }
  set(value);
  return { root: el("div", { class: "slider" }, el("label", { for: id }, name), output, input), set };
}

/**
 * Create a row of buttons, of which one is pressed.
 *
 * @template {string} Key
 * @param {string} name
 * @param {Record<Key, string>} texts
 * @param {NoInfer<Key> | ""} value
 * @param {(value: Key) => void} change
 */
export function choices(name, texts, value, change) {
  const buttons = /** @type {[Key, string][]} */ (Object.entries(texts)).map(([key, text]) =>
    el(
      "button",
      {
        type: "button",
        "data-key": key,
        onclick: () => {
          set(key);
          change(key);
        },
      },
      text,
    ),
  );
  /** @param {Key | ""} now */
  function set(now) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.key === now));
  }
  set(value);
  return {
    root: el("div", { class: "choices", role: "group", "aria-label": name }, el("span", {}, name), buttons),
    set,
  };
}

/**
 * @param {string} text
 * @param {() => void} press
 */
export const button = (text, press) => el("button", { type: "button", onclick: press }, text);

/**
 * @param {Child[]} heads
 * @param {Child[][]} rows
 */
export const table = (heads, rows) =>
  el(
    "div",
    { class: "wide", tabindex: 0, role: "region", "aria-label": "table" },
    el(
      "table",
      {},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          heads.map((head) => el("th", { scope: "col" }, head)),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((row) =>
          el(
            "tr",
            {},
            row.map((cell) => el("td", {}, cell)),
          ),
        ),
      ),
    ),
  );

/**
 * @param {Child} title
 * @param {...Child} content
 */
export const panel = (title, ...content) => el("section", {}, el("h2", {}, title), content);

// --- the frame -------------------------------------------------------------------------------------------------------

/**
 * Put the content into the page, and draw it, again whenever the theme changes.
 *
 * @param {Child[]} content
 * @param {() => void} draw
 */
export function start(content, draw) {
  const code = /** @type {HTMLDetailsElement} */ (document.getElementById("code")),
    frame = /** @type {HTMLElement | null} */ (window.frameElement);
  code.before(.../** @type {Node[]} */ (content));
  code.open = "open" in code.dataset && innerWidth > 700;
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const themed = () => {
    // Light text around the frame means a dark page, in every notebook.
    const outside = frame && frame.ownerDocument.defaultView?.getComputedStyle(frame).color.match(/[\d.]+/g);
    const dark = outside ? sum(outside.slice(0, 3).map(Number)) > 382 : scheme.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    draw();
  };
  themed();
  scheme.addEventListener("change", themed);
  if (!frame) return;
  const outside = frame.ownerDocument,
    watched = new MutationObserver(themed);
  for (const element of [outside.documentElement, outside.body]) watched.observe(element, { attributes: true });
  const size = () => {
    frame.style.height = `${Math.ceil(document.documentElement.getBoundingClientRect().height)}px`;
  };
  new ResizeObserver(size).observe(document.documentElement);
}
