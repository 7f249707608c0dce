// The legend: colour, name and share of each class. An entry highlights its class.

import { el } from "report/dom.js";
import { data } from "live/payload.js";

const { classes } = data.network;
const MANY = 24; // with more classes, those without pixels are hidden

export class Legend {
  /**
   * @param {HTMLElement} list      receives the entries
   * @param {HTMLElement} spoken    receives a summary for screen readers
   * @param {(highlighted: number | null) => void} highlight
   */
  constructor(list, spoken, highlight) {
    this.spoken = spoken;
    /** @type {number | null} the class whose entry was pressed */
    this.pinned = null;
    this.entries = classes.map(({ color }, k) => {
      const style = `background: rgb(${color.join(" ")})`;
      const bar = el("i", { style }), share = el("span", { class: "share" }, "–");
      const look = () => highlight(k), leave = () => highlight(this.pinned);
      const press = () => {
        this.pinned = this.pinned === k ? null : k;
        this.entries.forEach(({ button }, i) => button.setAttribute("aria-pressed", String(i === this.pinned)));
        highlight(this.pinned);
      };
      const enter = (/** @type {PointerEvent} */ event) => { if (event.pointerType === "mouse") look(); };
      const button = el("button", { type: "button", "aria-pressed": "false", onclick: press, onfocus: look,
        onblur: leave, onpointerenter: enter, onpointerleave: leave }, el("span", { class: "swatch", style }),
        el("span", { class: "name", title: nameOf(k) }, nameOf(k)), share,
        el("span", { class: "bar", "aria-hidden": "true" }, bar));
      return { item: el("li", {}, button), button, bar, share };
    });
    list.append(...this.entries.map(({ item }) => item));
  }

  /**
   * Show the shares of all pixels.
   *
   * @param {Uint8Array} labels
   * @param {boolean} speak  whether screen readers hear the largest classes
   */
  update(labels, speak) {
    const counts = new Array(classes.length).fill(0);
    for (const label of labels) counts[label]++;
    this.entries.forEach(({ item, bar, share }, k) => {
      const part = counts[k] / labels.length;
      item.classList.toggle("absent", counts[k] === 0);
      item.hidden = counts[k] === 0 && classes.length > MANY;
      bar.style.width = `${100 * part}%`;
      share.textContent = percent(part);
    });
    if (!speak) return;
    const order = counts.map((_, k) => k).sort((a, b) => counts[b] - counts[a]).filter((k) => counts[k]);
    this.spoken.textContent = "Largest classes: " +
      order.slice(0, 4).map((k) => `${nameOf(k)} ${percent(counts[k] / labels.length)}`).join(", ");
  }
}

/** @param {number} k */
export const nameOf = (k) => classes[k].name.trim() || `class ${k}`;

/** @param {number} part */
export function percent(part) {
  if (part === 0) return "–";
  return part < 0.0005 ? "< 0.1 %" : `${(100 * part).toFixed(1)} %`;
}
