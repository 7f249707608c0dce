// The first step: the network, the values of one pixel and its journey, the pictures and an overview.

import { chooseChannel } from "walk/channels.js";
import { legend } from "walk/classes.js";
import { toControls } from "walk/derivation.js";
import { el, table } from "walk/elements.js";
import { playJourney, playOrPause } from "walk/film.js";
import { formula, headline } from "walk/headline.js";
import { journey } from "walk/journey.js";
import { showLargestLoss } from "walk/jumps.js";
import { chosenPixel } from "walk/navigation.js";
import { networkMap } from "walk/network_map.js";
import { format } from "walk/numbers.js";
import { panel, readout } from "walk/panel.js";
import { data } from "walk/payload.js";
import { saveButtons } from "walk/picture_file.js";
import { redraw, state } from "walk/state.js";
import { pixelAt } from "walk/store.js";
import { usesOf } from "walk/trail.js";
import { whatIf } from "walk/what_if_view.js";

/** @import { Step } from "walk/steps.js" */
/** @import { LoadedNode } from "walk/store.js" */

/**
 * @param {Step} step
 * @param {LoadedNode} node
 */
export function startView(step, node) {
  const tensor = node.x, [y, x] = state.settled ? chosenPixel(tensor) : pixelAt(tensor, state.place);
  const channel = Math.min(state.channel, tensor.shown - 1);
  state.shown = [(y + 0.5) / tensor.H, (x + 0.5) / tensor.W];
  const colours = (tensor.names ?? []).map((name, c) => [name, tensor.value(y, x, c)]);
  const controls = whatIf(step, node, null, [y, x, channel]);
  const values = colours.map(([, value]) => format(value)).join(", ");
  return [
    headline(step, node),
    beginnings(),
    networkMap(),
    saveButtons(),
    el("div", { class: "sight" },
      el("div", { class: "look panels" }, panel({ letter: "x", from: "the network's input", tensor, channel,
        choose: chooseChannel, box: [y, x, 1, 1] })),
      readout(`x[${y}, ${x}]`, values, tensor, [y, x], "its colours ↓"),
      el("div", { class: "sum" },
        el("section", { class: "derivation", tabindex: -1 }, el("h2", {}, `One pixel: row ${y}, column ${x}`),
          controls ? toControls(controls) : null,
          table(["colour", "value"], colours),
          el("p", { class: "choices" },
            choice("show its journey", () => showJourney(!state.journey), String(state.journey)),
            choice("play its journey", playJourney)),
          usesOf(`x[${y}, ${x}, ${channel}]`, tensor, [y, x, channel]),
          controls))),
    state.journey ? journey(y, x) : null,
    overview(),
    formula(step),
  ];
}

/** Return buttons that lead to what readers may want to see first. */
const beginnings = () => el("p", { class: "choices begin" }, el("span", {}, "Begin with"),
  choice("▶ the film of all steps", playOrPause),
  choice("the journey of one pixel", () => showJourney(true)),
  data.labelled ? choice("the largest loss", showLargestLoss) : null);

/**
 * @param {string} text
 * @param {() => Promise<void>} onclick
 * @param {string} [pressed]
 */
const choice = (text, onclick, pressed) =>
  el("button", { type: "button", class: "choice", "aria-pressed": pressed, onclick }, text);

/**
 * Show the journey and scroll to it, or hide it.
 *
 * @param {boolean} shown
 */
async function showJourney(shown) {
  state.journey = shown;
  await redraw();
  const section = /** @type {HTMLElement | null} */ (document.querySelector(".journey"));
  section?.scrollIntoView({ block: "start" });
  section?.focus({ preventScroll: true });
}

function overview() {
  const captions = { picture: "picture", prediction: data.notice ? "prediction of this pass" : "prediction",
    labels: "labels", error: "errors (red)" };
  const pictures = Object.entries(data.pictures).map(([name, uri]) => {
    const caption = captions[/** @type {keyof typeof captions} */ (name)];
    return el("figure", {}, el("img", { src: uri, alt: caption }), el("figcaption", {}, caption));
  });
  const rows = data.overview.map(([name, text]) =>
    el("div", { class: text.length > 160 ? "long" : "" }, el("dt", {}, name), el("dd", {}, text)));
  return el("section", { class: "overview" },
    data.notice ? el("p", { class: "notice" }, data.notice) : null,
    el("div", { class: "pictures" }, pictures),
    legend(data.void),
    el("dl", { class: "rows" }, rows));
}
