// What all fragments share: elements, controls, boards of numbers, and the theme and height of the frame.

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
  const size = Math.abs(value), extreme = size !== 0 && (size < 1e-3 || size >= 1e5);
  const text = extreme && Number.isFinite(value) ? value.toExponential(digits - 2) : String(Number(value.toPrecision(digits)));
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
  const id = `control${controls++}`, output = el("output", { for: id });
  const input = el("input", { type: "range", id, min, max, step, oninput: () => { set(Number(input.value)); change(Number(input.value)); } });
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
    el("button", { type: "button", "data-key": key, onclick: () => { set(key); change(key); } }, text));
  /** @param {Key | ""} now */
  function set(now) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.key === now));
  }
  set(value);
  return { root: el("div", { class: "choices", role: "group", "aria-label": name }, el("span", {}, name), buttons), set };
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
  el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "table" }, el("table", {},
    el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, cell)))))));

// --- colours ---------------------------------------------------------------------------------------------------------

export const isDark = () => document.documentElement.dataset.theme === "dark";

/**
 * Return a CSS colour of the theme, such as "mIoU", as [red, green, blue].
 *
 * @param {string} name
 */
function themeColour(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
}

/** @typedef {{ background: string, color: string }} Paint */

/**
 * Return a background and the better of black and white for text on it.
 *
 * @param {number[]} from
 * @param {number[]} to
 * @param {number} share
 * @returns {Paint}
 */
function mixed(from, to, share) {
  const rgb = from.map((part, k) => Math.round(part + (to[k] - part) * share));
  const [red, green, blue] = rgb.map((part) => (part / 255) ** 2.2);
  return { background: `rgb(${rgb})`, color: 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff" };
}

/**
 * Return the colours of a number: orange if it is positive, blue if it is negative, paper if it is 0.
 *
 * @param {number} value
 * @param {number} largest  the absolute value of the strongest colour
 */
export function signed(value, largest) {
  const end = value > 0 ? (isDark() ? [207, 116, 31] : [238, 143, 49]) : isDark() ? [63, 130, 204] : [77, 143, 209];
  return mixed(themeColour("paper"), end, Math.min(1, Math.abs(value) / (largest || 1)));
}

/** @param {number} share  from 0, black, to 1, white */
export const grey = (share) => mixed([24, 24, 30], [250, 250, 250], share);

/** @param {string} name */
export const solid = (name) => mixed(themeColour(name), [0, 0, 0], 0);

/** @param {number[][]} values */
export const largestOf = (values) => Math.max(...values.flat().map(Math.abs), 1e-9);

// --- boards ----------------------------------------------------------------------------------------------------------

/** @typedef {{ text?: string, paint?: Paint | null, mark?: string, told?: string }} Look */
/** @typedef {[row: number, column: number, rows: number, columns: number, kind: string]} Frame */

/**
 * Create a grid of numbers. Arrow keys move through it, and `look` follows the pointer and the focus. `act` receives
 * taps, drags and keys: Enter as "tap", digits, "+" and "-".
 *
 * @param {string} label
 * @param {{ act?: (row: number, column: number, key: string) => void, look?: (row: number, column: number) => void,
 *           names?: (row: number, column: number) => string, drag?: boolean }} [settings]
 */
export function board(label, { act, look, names = (row, column) => `row ${row}, column ${column}`, drag = false } = {}) {
  const alive = Boolean(act || look), root = el("div", { class: `board${drag ? " drag" : ""}`, role: alive ? "grid" : "img", "aria-label": label });
  /** @type {HTMLElement[][]} */
  let cells = [];
  /** @type {HTMLElement[]} */
  let frames = [];

  /** @param {EventTarget | null} target  @returns {[number, number] | null} */
  const placeOf = (target) => {
    const cell = target instanceof Element ? target.closest(".cell") : null;
    return cell instanceof HTMLElement && root.contains(cell) ? [Number(cell.dataset.row), Number(cell.dataset.column)] : null;
  };
  /** @param {number} row  @param {number} column */
  function focus(row, column) {
    const cell = cells[Math.min(Math.max(row, 0), cells.length - 1)]?.[Math.min(Math.max(column, 0), cells[0].length - 1)];
    for (const other of cells.flat()) other.tabIndex = other === cell ? 0 : -1;
    cell?.focus({ preventScroll: true });
  }
  if (alive) {
    let painting = false, last = "";
    root.addEventListener("pointerdown", (event) => {
      const place = placeOf(event.target);
      if (!place) return;
      painting = drag;
      last = String(place);
      if (drag) act?.(...place, "tap");
    });
    root.addEventListener("click", (event) => { const place = placeOf(event.target); if (place && !drag) act?.(...place, "tap"); });
    root.addEventListener("pointermove", (event) => {
      const place = placeOf(document.elementFromPoint(event.clientX, event.clientY));
      if (!place || String(place) === last) return;
      last = String(place);
      if (painting) act?.(...place, "tap");
      else look?.(...place);
    });
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { painting = false; });
    root.addEventListener("focusin", (event) => { const place = placeOf(event.target); if (place) look?.(...place); });
    root.addEventListener("keydown", (event) => {
      const place = placeOf(event.target), key = event.key === "Enter" || event.key === " " ? "tap" : event.key === "−" ? "-" : event.key;
      if (!place || event.ctrlKey || event.metaKey || event.altKey) return;
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[key];
      if (move) focus(place[0] + move[0], place[1] + move[1]);
      else if (act && /^(tap|[0-9+-])$/.test(key)) act(...place, key);
      else return;
      event.preventDefault();
    });
  }

  /**
   * Show numbers, each as `style` says, and frames around some of them.
   *
   * @param {number[][]} values
   * @param {(value: number, row: number, column: number) => Look} style
   * @param {Frame[]} [around]
   */
  function show(values, style, around = []) {
    const columns = values[0].length;
    if (cells.length !== values.length || cells[0].length !== columns) {
      cells = values.map((row, r) => row.map((_, c) => el("div", { class: "cell", role: alive ? "gridcell" : null, tabindex: alive ? (r || c ? -1 : 0) : null,
        "data-row": r, "data-column": c, style: `grid-area: ${r + 1} / ${c + 1}` })));
      root.replaceChildren(...cells.map((row) => el("div", { role: alive ? "row" : null, class: "row" }, row)));
      root.style.setProperty("--columns", String(columns));
    }
    values.forEach((row, r) => row.forEach((value, c) => {
      const { text = format(value, 3), paint = null, mark = "", told = "" } = style(value, r, c), cell = cells[r][c];
      if (cell.textContent !== text) cell.textContent = text;
      cell.className = `cell ${mark} ${text.length > 3 ? "long" : ""}`;
      Object.assign(cell.style, paint ?? { background: "", color: "" });
      if (alive) cell.setAttribute("aria-label", `${names(r, c)}: ${text || value}${told && `, ${told}`}`);
    }));
    for (const frame of frames) frame.remove();
    frames = around.map(([r, c, rows, count, kind]) => el("div", { class: `frame ${kind}`, "aria-hidden": "true",
      style: `grid-area: ${r + 1} / ${c + 1} / span ${rows} / span ${count}` }));
    root.append(...frames);
  }
  return { root, show, focus };
}

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
  const code = /** @type {HTMLDetailsElement} */ (document.getElementById("code")), frame = window.frameElement;
  code.before(.../** @type {Node[]} */ (content));
  code.open = innerWidth > 700;
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
  if (!(frame instanceof Object)) return;
  const outside = frame.ownerDocument, watched = new MutationObserver(themed);
  for (const element of [outside.documentElement, outside.body]) watched.observe(element, { attributes: true });
  const size = () => { /** @type {HTMLElement} */ (frame).style.height = `${Math.ceil(document.documentElement.getBoundingClientRect().height)}px`; };
  new ResizeObserver(size).observe(document.documentElement);
}
