// Connects pictures, passes and what the page shows of them.

import { byId, el, isDark } from "report/dom.js";
import { COLORS, Drawing } from "live/drawing.js";
import { Legend } from "live/legend.js";
import { paintOverlay, savePng } from "live/overlay.js";
import { data } from "live/payload.js";
import { listen } from "live/pointer.js";
import { nameClass, showTimes } from "live/readout.js";
import { Runner } from "live/runner.js";
import { Problem, eachFrame, openCamera, pictureIn, readPicture } from "live/sources.js";
import { Stages } from "live/stages.js";

/** @import { Done } from "live/passes.js" */
/** @import { Place } from "live/pointer.js" */
/** @import { Source } from "live/sources.js" */

const MOST_WITHOUT_SIZE = 360 * 480; // pixels of the network's input if the size of the training pictures is unknown
const UNLIKE = 2; // standard deviations, as in `tinysegnet predict`
const MOST_FOR_TWO = 1000; // ms; faster passes over a new picture are run twice
const COMPARED = 15; // of the camera's frames, one in this many is compared with the training pictures

const html = (/** @type {string} */ id) => byId(id, HTMLElement);
const picture = byId("picture", HTMLCanvasElement), overlay = byId("overlay", HTMLCanvasElement);
const context = /** @type {CanvasRenderingContext2D} */ (picture.getContext("2d", { willReadFrequently: true }));
const work = html("work"), frame = html("frame"), slider = byId("opacity", HTMLInputElement);

const drawing = new Drawing();
const legend = new Legend(html("classes"), html("spoken"), (k) => { highlighted = k; repaint(); });
const stages = new Stages(html("stages"));
/** @type {Source | null} */
let source = null;
/** @type {Done | null} the last pass over this picture */
let result = null;
/** @type {number | null} */
let highlighted = null;
/** @type {Place | null} the pixel whose class is named */
let place = null;
let opacity = slider.valueAsNumber / 100, passes = 0;

const runner = new Runner({
  ready() {
    if (source) state("running");
    else if (data.sample) openSample();
    else state("empty");
  },
  stage({ name, maps }) {
    html("progress").style.setProperty("--share", String(stages.show(name, maps)));
  },
  compared({ distance, quality }) {
    html("unlike").hidden = distance <= UNLIKE;
    html("unlike-quality").textContent = quality;
  },
  done: show,
  failed(message) {
    complain(`The network cannot run here. Try a smaller picture or another browser. (${message})`);
  },
  busy(busy) {
    work.classList.toggle("busy", busy);
    work.setAttribute("aria-busy", String(busy && !source?.live));
    if (!busy) stages.rest();
  },
});

/** @param {"loading" | "empty" | "running"} name */
function state(name) {
  document.body.dataset.state = name;
}

// --- pictures -------------------------------------------------------------------------------------------------------

/** @param {Source} next */
function open(next) {
  source?.close();
  [source, result, place] = [next, null, null];
  runner.forget();
  drawing.clear();
  paintOverlay(overlay, new Uint8Array(next.width * next.height), [next.height, next.width], 0, null);
  html("camera").setAttribute("aria-pressed", String(next.live));
  html("problem").hidden = html("unlike").hidden = true;
  state("running");
  compose();
  run(true);
  if (next.live) eachFrame(next.image, () => source === next && (run(false), true));
}

/** Draw the picture and the strokes on it. */
function compose() {
  if (!source) return;
  const { width, height } = source;
  if (picture.width !== width || picture.height !== height) { // also after a phone with its camera was turned
    Object.assign(picture, { width, height });
    work.style.setProperty("--ratio", String(width / height));
    frame.classList.toggle("small", Math.max(width, height) < 200);
  }
  context.fillStyle = "white"; // behind transparent pictures
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source.image, 0, 0, width, height);
  drawing.paint(context);
}

/**
 * Segment the picture as it is when the network has time for it.
 *
 * @param {boolean} choose  whether to choose the feature maps to show
 */
function run(choose) {
  const wanted = source;
  runner.request(() => {
    if (source !== wanted || !wanted) return null;
    compose();
    const { width, height } = picture, compare = !wanted.live || passes++ % COMPARED === 0;
    return { rgba: context.getImageData(0, 0, width, height).data, size: [height, width],
      input: inputSize(height, width), compare, choose: choose || result === null };
  });
}

/**
 * Return the size of the network's input: the area of the training pictures at the picture's own aspect ratio.
 *
 * @param {number} H
 * @param {number} W
 * @returns {[number, number]}
 */
function inputSize(H, W) {
  const { size, size_multiple: multiple } = data.network;
  const factor = size ? Math.sqrt((size[0] * size[1]) / (H * W)) : Math.min(1, Math.sqrt(MOST_WITHOUT_SIZE / (H * W)));
  const rounded = (/** @type {number} */ n) => Math.max(1, Math.round(n));
  const fit = (/** @type {number} */ n) => rounded(rounded(n * factor) / multiple) * multiple;
  return [fit(H), fit(W)];
}

/**
 * Open a picture with a function that may fail.
 *
 * @param {() => Source | Promise<Source>} read
 */
async function attempt(read) {
  try {
    open(await read());
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    complain(error.message);
  }
}

/** @param {string} message */
function complain(message) {
  html("problem-text").textContent = message;
  html("problem").hidden = false;
  if (!source) state("empty");
}

/** @param {DataTransfer | null} transfer */
const openFrom = (transfer) => attempt(() => {
  const file = pictureIn(transfer);
  return readPicture(file, file.name);
});

function openSample() {
  const bytes = Uint8Array.from(atob((data.sample ?? "").split(",")[1]), (character) => character.charCodeAt(0));
  return attempt(() => readPicture(new Blob([bytes], { type: "image/png" }), "street.png"));
}

function toggleCamera() {
  if (source?.live) return stopCamera();
  return attempt(() => openCamera(() => {
    stopCamera();
    complain("The camera has stopped. Connect it again, then press Camera.");
  }));
}

/** Stop the camera, and keep its last frame. */
function stopCamera() {
  if (!source?.live) return;
  const still = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
  still.getContext("2d")?.drawImage(source.image, 0, 0, still.width, still.height);
  const { strokes } = drawing;
  open({ ...source, live: false, image: still, close() {} });
  drawing.strokes = strokes;
}

// --- results --------------------------------------------------------------------------------------------------------

/** @param {Done} done */
function show(done) {
  // A second pass is faster, because the browser has compiled all code by then. Its time is the one to know.
  if (result === null && !source?.live && done.time < MOST_FOR_TWO) run(false);
  result = done;
  repaint();
  legend.update(done.labels, !source?.live);
  showTimes(done, Boolean(source?.live));
  const [h, w] = done.shape, [H, W] = done.size;
  html("sizes").textContent = `${source?.name}: ${H} × ${W} pixels${source?.reduced ? " (reduced)" : ""}, ` +
    `seen by the network at ${h} × ${w}`;
  nameClass(result, place);
}

function repaint() {
  if (result) paintOverlay(overlay, result.labels, result.size, opacity, highlighted);
}

// --- controls -------------------------------------------------------------------------------------------------------

listen(frame, {
  draws: () => document.body.classList.contains("draws") && source !== null,
  inspect(at, byKey) {
    place = at;
    html("readout").setAttribute("aria-live", byKey ? "polite" : "off");
    nameClass(result, place);
  },
  begin([down, right]) {
    drawing.begin([right, down]);
    redraw();
  },
  extend([down, right]) {
    drawing.extend([right, down]);
    redraw();
  },
});

function redraw() {
  compose();
  run(false);
}

const file = byId("file", HTMLInputElement);
html("choose").onclick = html("prompt-choose").onclick = () => file.click();
file.onchange = () => {
  const chosen = file.files?.[0];
  file.value = ""; // so that the same file can be chosen again
  if (chosen) attempt(() => readPicture(chosen, chosen.name));
};
html("camera").onclick = toggleCamera;
html("sample").onclick = openSample;
html("sample").hidden = !data.sample;
html("draw").onclick = () => {
  const on = document.body.classList.toggle("draws");
  html("draw").setAttribute("aria-pressed", String(on));
};
html("undo").onclick = () => { drawing.undo(); redraw(); };
html("clear").onclick = () => { drawing.clear(); redraw(); };
html("save").onclick = () => {
  if (result) savePng(picture, overlay, `${(source?.name ?? "picture").replace(/\.[^.]*$/, "")}_overlay.png`);
};
html("dismiss").onclick = () => { html("problem").hidden = true; };
slider.oninput = () => {
  opacity = slider.valueAsNumber / 100;
  html("opacity-value").textContent = `${slider.value} %`;
  repaint();
};
const brush = byId("brush", HTMLInputElement);
brush.oninput = () => { drawing.width = brush.valueAsNumber / 100; };
html("colors").append(...COLORS.map(([name, color]) => {
  const onchange = () => { drawing.color = color; }, checked = color === drawing.color;
  const input = el("input", { type: "radio", name: "color", "aria-label": name, checked, onchange });
  return el("label", { title: name }, input, el("i", { style: `background: ${color}` }));
}));
html("theme").onclick = () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; };

addEventListener("paste", (event) => openFrom(event.clipboardData));
addEventListener("dragover", (event) => {
  event.preventDefault();
  work.classList.add("over");
});
for (const end of ["drop", "dragleave"]) addEventListener(end, () => work.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  openFrom(event.dataTransfer);
});
addEventListener("keydown", (event) => {
  if (event.key === "z" && (event.ctrlKey || event.metaKey) && drawing.strokes.length) html("undo").click();
});
addEventListener("pagehide", stopCamera);

nameClass(null, null);
runner.start();
