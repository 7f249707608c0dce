// Boards: grids of numbers with colours and frames, for pointer and keyboard.

import { el, format } from "./shared.js";

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
export function board(
  label,
  { act, look, names = (row, column) => `row ${row}, column ${column}`, drag = false } = {},
) {
  const alive = Boolean(act || look),
    root = el("div", { class: `board${drag ? " drag" : ""}`, role: alive ? "grid" : "img", "aria-label": label });
  /** @type {HTMLElement[][]} */
  let cells = [];
  /** @type {HTMLElement[]} */
  let frames = [];

  /** @param {EventTarget | null} target  @returns {[number, number] | null} */
  const placeOf = (target) => {
    const cell = target instanceof Element ? target.closest(".cell") : null;
    return cell instanceof HTMLElement && root.contains(cell)
      ? [Number(cell.dataset.row), Number(cell.dataset.column)]
      : null;
  };
  /** @param {number} row  @param {number} column */
  function focus(row, column) {
    const cell =
      cells[Math.min(Math.max(row, 0), cells.length - 1)]?.[Math.min(Math.max(column, 0), cells[0].length - 1)];
    for (const other of cells.flat()) other.tabIndex = other === cell ? 0 : -1;
    cell?.focus({ preventScroll: true });
  }
  if (alive) {
    let painting = false,
      last = "";
    root.addEventListener("pointerdown", (event) => {
      const place = placeOf(event.target);
      if (!place) return;
      painting = drag;
      last = String(place);
      if (drag) act?.(...place, "tap");
    });
    root.addEventListener("click", (event) => {
      const place = placeOf(event.target);
      if (place && !drag) act?.(...place, "tap");
    });
    root.addEventListener("pointermove", (event) => {
      const place = placeOf(document.elementFromPoint(event.clientX, event.clientY));
      if (!place || String(place) === last) return;
      last = String(place);
      if (painting) act?.(...place, "tap");
      else look?.(...place);
    });
    for (const end of ["pointerup", "pointercancel"])
      addEventListener(end, () => {
        painting = false;
      });
    root.addEventListener("focusin", (event) => {
      const place = placeOf(event.target);
      if (place) look?.(...place);
    });
    root.addEventListener("keydown", (event) => {
      const place = placeOf(event.target),
        key = event.key === "Enter" || event.key === " " ? "tap" : event.key === "−" ? "-" : event.key;
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
      cells = values.map((row, r) =>
        row.map((_, c) =>
          el("div", {
            class: "cell",
            role: alive ? "gridcell" : null,
            tabindex: alive ? (r || c ? -1 : 0) : null,
            "data-row": r,
            "data-column": c,
            style: `grid-area: ${r + 1} / ${c + 1}`,
          }),
        ),
      );
      root.replaceChildren(...cells.map((row) => el("div", { role: alive ? "row" : null, class: "row" }, row)));
      root.style.setProperty("--columns", String(columns));
    }
    values.forEach((row, r) =>
      row.forEach((value, c) => {
        const { text = format(value, 3), paint = null, mark = "", told = "" } = style(value, r, c),
          cell = cells[r][c];
        if (cell.textContent !== text) cell.textContent = text;
        cell.className = `cell ${mark} ${text.length > 3 ? "long" : ""}`;
        Object.assign(cell.style, paint ?? { background: "", color: "" });
        if (alive) cell.setAttribute("aria-label", `${names(r, c)}: ${text || value}${told && `, ${told}`}`);
      }),
    );
    for (const frame of frames) frame.remove();
    frames = around.map(([r, c, rows, count, kind]) =>
      el("div", {
        class: `frame ${kind}`,
        "aria-hidden": "true",
        style: `grid-area: ${r + 1} / ${c + 1} / span ${rows} / span ${count}`,
      }),
    );
    root.append(...frames);
  }
  return { root, show, focus };
}
