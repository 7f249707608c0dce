// Walking: which step is shown, and what moves it: slider, keys, clicks, the list, the address.

const WAYS = { start: "the picture", forward: "forward", answer: "answer", loss: "loss", "loss backward": "backward",
  backward: "backward" };
const steps = data.steps.map((step, k) => {
  const { name } = data.nodes[step.node], layer = step.way === "forward" || step.way === "backward";
  const shown = step.way === "start" ? data.title : layer ? name : step.title;
  const id = step.way === "start" ? "start" : `${step.way.replace(" ", "-")}:${name}`;
  return { ...step, k, name, shown, layer, id };
});
const slider = document.getElementById("slider");
const embedded = location.protocol === "about:"; // in a notebook's frame the address is not ours
const wayOf = (step) => WAYS[step.way].replace(" ", "-"); // as a class

/** To a step. push: so that the browser's Back returns. sum: to its sum, not to its head. */
function go(k, { push = false, sum = false } = {}) {
  if (push) leave();
  state.step = Math.max(0, Math.min(steps.length - 1, k));
  state.all = state.clicked = false;
  state.channel = channelFor(steps[state.step]);
  state.reading = readingFor(steps[state.step]);
  slider.value = state.step;
  if (push && !embedded) history.pushState({ sum }, "", `#${steps[state.step].id}`);
  return render().then(() => (sum ? showSum() : scrollTo({ top: 0 })));
}

/** The browser's history keeps the pixel and the channels of a step, and whether one came for the sum. */
function keep() {
  if (embedded) return;
  const { place, channel, reading } = state, { sum } = history.state || {};
  const chosen = familyOf(steps[state.step]) in state.chosen;
  try {
    history.replaceState({ place, channel, chosen, reading, sum }, "", `#${steps[state.step].id}`);
  } catch { /* browsers refuse it when it is done too often, as while the slider moves */ }
}

/** Before a jump: how far the page is scrolled, for Back. */
function leave() {
  if (!embedded) history.replaceState({ ...history.state, scroll: scrollY }, "");
}

/** Back, forward, reload, or another address. */
function restore(kept) {
  const step = stepOfAddress();
  if (!kept || !kept.place) return go(step);
  Object.assign(state, { step, place: kept.place, channel: kept.channel, reading: kept.reading });
  state.all = state.clicked = false;
  if (kept.chosen) state.chosen[familyOf(steps[step])] = kept.channel;
  slider.value = step;
  const sum = kept.sum && kept.scroll === undefined;
  return render().then(() => (sum ? showSum() : scrollTo({ top: kept.scroll || 0 })));
}

/** The same layer's step in the other direction. */
const twinOf = (step) =>
  steps.find((s) => s !== step && s.node === step.node && step.way !== "start" && s.way !== "start");

function turn() {
  const twin = twinOf(steps[state.step]);
  if (twin) go(twin.k, { push: true });
}

/** To a neighbour among the pixels that can be clicked. */
async function movePixel(down, right) {
  const step = steps[state.step], node = await nodeOf(step.node);
  const result = resultOf(step, node);
  const [y, x] = pixelAt(result, state.place), [rows, columns] = result.grid;
  const next = (axis, at, by) => axis[Math.max(0, Math.min(axis.length - 1, axis.indexOf(at) + by))];
  state.place = [(next(rows, y, down) + 0.5) / result.H, (next(columns, x, right) + 0.5) / result.W];
  state.clicked = false;
  return render();
}

async function moveChannel(by) {
  const step = steps[state.step], result = resultOf(step, await nodeOf(step.node));
  return chooseChannel((Math.min(state.channel, result.shown - 1) + by + result.shown) % result.shown);
}

function changeTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  render();
}

// --- a step ----------------------------------------------------------------------------------------------------------

/** The arrays of a step, [letter, where from or to, array] each: what it reads, and last what it makes. */
function arraysOf(step, node) {
  const before = node.k > 0 ? data.nodes[node.k - 1].name : "the picture";
  const layers = steps.filter((s) => s.way === "forward").length;
  const behind = node.k + 1 < layers ? data.nodes[node.k + 1].name : "the loss";
  if (step.way === "answer") return [["logits", `from ${before}`, node.x], ["p", "probabilities", node.out]];
  if (step.way === "loss") return [["p", "probabilities", node.x], ["loss", "each pixel's part", node.out]];
  if (step.way === "loss backward") {
    return [["p", "probabilities", node.x], ["dlogits", `to ${data.nodes[node.k - 2].name}`, node.dx]];
  }
  if (step.way === "backward") {
    const kept = node.kind === "tap" ? [["dkept", `from ${node.partner}`, node.dother]] : [];
    const dx = ["dx", node.k > 0 ? `to ${before}` : "of the picture", node.dx];
    return [["dout", `from ${behind}`, node.dout], ...kept, dx];
  }
  const x = ["x", node.k > 0 ? `from ${before}` : before, node.x];
  if (node.kind === "add") return [x, ["kept", `from ${node.partner}`, node.other], ["out", "x + kept", node.out]];
  if (node.kind === "tap") return [x, ["kept", `to ${node.partner}`, node.other]];
  return [x, ["out", "of this layer", node.out]];
}

/** The box [y, x, height, width] of pixels of `tensor` that (y, x) of the result was made of. */
function boxOf(step, node, tensor, y, x) {
  if (!node.windows) return [y, x, 1, 1];
  const resultIsLarge = node.windows.large === (step.way === "backward" ? "in" : "out");
  const pixels = (resultIsLarge ? over : under)(node.windows, y, x, tensor);
  const rows = pixels.map((pixel) => pixel[2]), columns = pixels.map((pixel) => pixel[3]);
  const top = Math.min(...rows), left = Math.min(...columns);
  return [top, left, Math.max(...rows) - top + 1, Math.max(...columns) - left + 1];
}

function panelsOf(step, node, y, x) {
  const arrays = arraysOf(step, node), mixes = MIXES.has(node.kind) && isSum(node);
  return arrays.map(([letter, from, tensor], k) => {
    const result = k === arrays.length - 1, passes = node.kind === "tap" && letter === "dout"; // a tap lets it through
    const own = result || passes || !mixes, choose = own ? chooseChannel : chooseReading;
    const channel = Math.min(own ? state.channel : state.reading, tensor.shown - 1);
    const mark = result || passes ? null : boxOf(step, node, tensor, y, x);
    return panel({ letter, from, tensor, channel, choose, mark, pixel: [y, x] });
  });
}

function headline(step, node) {
  const twin = twinOf(step), where = `to its ${twin && twin.way.endsWith("backward") ? "backward" : "forward"} (b)`;
  const total = step.way === "loss" ? `Of this picture, all pixels together: ${format(node.facts.value)}.` : "";
  const end = "Here the walk ends: without labels there is no loss, and no way back.";
  const more = step.way === "answer" && !data.labelled ? end : total;
  const weights = step.way.startsWith("loss") ? data.weighting : "";
  return el("div", { class: "headline" },
    el("p", { class: `way ${wayOf(step)}` }, WAYS[step.way], step.layer ? ` · ${step.title}` : ""),
    el("h1", {}, step.shown),
    rich("p", { class: "what" }, step.what),
    step.why ? rich("p", { class: "why" }, step.why) : null,
    more ? el("p", {}, more) : null,
    weights ? el("p", { class: "weighting" }, weights) : null,
    step.formula ? rich("pre", { class: "formula" }, equations(step.formula)) : null,
    parameters(step),
    twin ? el("button", { type: "button", class: "choice", onclick: turn }, where) : null);
}

// Where two equations share a line and it is too narrow, the second begins a new one.
function equations(formula) {
  return formula.replace(/.+/g, (line) => line.split(/ {3,}/).map((each) => `<span>${each}</span>`).join("        "));
}

function parameters(step) {
  if (!step.params.length) return null;
  const back = step.params[0].norm !== undefined;
  const names = step.params.map((p) => el("code", {}, p.name));
  const row = (head, of) => [head, ...step.params.map(of)];
  const rows = [row("shape", (p) => times(p.shape)), row("smallest", (p) => p.low), row("largest", (p) => p.high)];
  if (!back) return table(["parameter", ...names], rows);
  rows.push(row("norm", (p) => p.norm), row("norm / norm of the parameter", (p) => (p.share === null ? "" : p.share)));
  return el("div", {}, table(["gradient", ...names], rows),
    el("p", { class: "quiet" }, "Of the gradients of the parameters the page has these figures, not every number."));
}

function sourceOf(step) {
  const source = data.sources[step.source];
  if (!source) return null;
  const code = el("code");
  let quoted = false;
  for (const line of source.text.split("\n")) {
    const quotes = line.split('"""').length - 1, quiet = quoted || quotes > 0 || line.trim().startsWith("#");
    if (quotes % 2) quoted = !quoted;
    code.append(quiet ? el("i", {}, line) : line, "\n");
  }
  return el("details", { class: "source", open: true }, el("summary", {}, "The code that computed it"),
    el("p", { class: "quiet" }, source.head), el("pre", {}, code));
}

/** Arrows between windows and their maxima, for pooling and unpooling in both directions. */
function arrowsOf(step, node, y, x, channel) {
  if (!node.position || node.facts.fixed) return null;
  const back = step.way === "backward", pools = node.windows.large === "in";
  const small = back ? (pools ? node.dout : node.dx) : pools ? node.out : node.x;
  const large = back ? (pools ? node.dx : node.dout) : pools ? node.x : node.out;
  const upwards = pools === back; // from the smaller map to the larger
  const [u, v] = upwards ? over(node.windows, y, x, small)[0].slice(2) : [y, x];
  return arrows(node, small, large, upwards, u, v, channel, arraysOf(step, node).map(([letter]) => letter));
}

/** The first step: what was asked, what was answered. */
function overview() {
  const prediction = data.notice ? "prediction of this pass" : "prediction";
  const names = { picture: "picture", prediction, labels: "labels", error: "where it is wrong" };
  const pictures = Object.entries(data.pictures).map(([name, uri]) =>
    el("figure", {}, el("img", { src: uri, alt: names[name] }), el("figcaption", {}, names[name])));
  const facts = data.facts.map(([name, text]) =>
    el("div", { class: text.length > 160 ? "long" : "" }, el("dt", {}, name), el("dd", {}, text)));
  const list = el("dl", { class: "facts" }, facts);
  const notice = data.notice ? el("p", { class: "notice" }, data.notice) : null;
  const shown = el("div", { class: "pictures" }, pictures);
  return el("section", { class: "overview" }, notice, shown, legend(data.void), list);
}

const swatchOf = (colour) => el("span", { class: "swatch", style: `background: ${colour}` });

/** The colours of the classes. nothing: and the sign for what nobody labelled. */
function legend(nothing) {
  const known = data.classes.map(({ name, colour }) =>
    el("li", { class: "class" }, swatchOf(colour), el("span", {}, name)));
  const none = el("li", { class: "class" }, el("span", { class: "swatch void" }), "not labelled");
  return el("ul", { class: "legend" }, known, nothing ? none : null);
}

/** The step of the answer: the prediction as a picture, and what is predicted at the pixel. */
function answered(node, y, x) {
  const picture = el("img", { src: data.pictures.prediction, alt: "" }), { best, probs } = softmaxAt(node.x, y, x);
  const { name, colour } = data.classes[best] || { name: "nothing, since these logits are no numbers" };
  const line = el("p", { class: "predicted" }, "predicted here: ", colour ? swatchOf(colour) : null, el("b", {}, name),
    best < 0 ? "" : `, ${probs[best].toFixed(2)}`);
  const shown = clickable(picture, "the prediction. Click a pixel to see its probabilities", node.out, [y, x, 1, 1]);
  return el("section", { class: "answered" }, shown, el("div", {}, line, legend(false)));
}

function begun(step, node) {
  const tensor = node.x, pixel = pixelAt(tensor, state.place), channel = Math.min(state.channel, tensor.shown - 1);
  const from = "the picture as the network gets it", colours = numbersAt(tensor, pixel);
  const numbers = colours.map(([, value]) => format(value)).join(", ");
  return [headline(step, node), overview(),
    el("div", { class: "panels" }, panel({ letter: "x", from, tensor, channel, choose: chooseChannel, pixel })),
    readout(`x[${pixel.join(", ")}]`, numbers, tensor, pixel, "its colours ↓"),
    el("section", { class: "made", tabindex: -1 }, el("h3", {}, `One pixel: row ${pixel[0]}, column ${pixel[1]}`),
      table(["colour", "number"], colours))];
}

const numbersAt = (tensor, pixel) => tensor.names.map((name, c) => [name, tensor.value(...pixel, c)]);

function walked(step, node) {
  const result = resultOf(step, node), [y, x] = pixelAt(result, state.place), own = classFor(step, node, y, x);
  if (own !== null) state.channel = own;
  const channel = Math.min(state.channel, result.shown - 1), found = explain(step, node, y, x, channel);
  const dots = result.grid.map((axis) => axis.length).join(" × "), named = result.names && result.C > 1;
  const value = format(found.shown) + (named ? ` (${result.names[channel]})` : "");
  const scales = el("p", { class: "choices" },
    toggle("one scale for all channels", state.common, () => { state.common = true; }),
    toggle("a scale for each", !state.common, () => { state.common = false; }));
  const how = "Orange is above zero, blue below. The strongest colours begin where but one number in 200 of a " +
    `channel is larger. The ${dots} dots are pixels whose numbers can be explained; a click chooses the nearest.`;
  return [headline(step, node), step.way === "answer" ? answered(node, y, x) : null, scales,
    el("div", { class: "panels" }, panelsOf(step, node, y, x)), readout(found.name, value, result, [y, x]),
    el("p", { class: "quiet" }, how),
    arrowsOf(step, node, y, x, channel), made(step, node, found), goes(step, node, found, y, x, channel),
    sourceOf(step)];
}

/** Draw the step. */
async function render() {
  keep();
  const drawing = ++drawings, step = steps[state.step], node = { ...(await nodeOf(step.node)), k: step.node };
  if (drawing !== drawings) return; // another one was asked for in the meantime
  const way = el("span", { class: `way ${wayOf(step)}` }, WAYS[step.way]);
  document.getElementById("where").replaceChildren(`${step.k + 1} of ${steps.length}`, way, el("b", {}, step.shown));
  slider.setAttribute("aria-valuetext", `${step.shown}, ${WAYS[step.way]}`);
  markInList(step.k);
  main.replaceChildren(...(step.way === "start" ? begun : walked)(step, node).filter(Boolean));
}

/** In the list of all steps, which scrolls by itself so that the step is seen. */
function markInList(current) {
  const nav = document.querySelector("nav"), buttons = document.querySelectorAll("#steps button");
  buttons.forEach((button, k) => button.setAttribute("aria-current", k === current ? "step" : "false"));
  const box = nav.getBoundingClientRect(), at = buttons[current].getBoundingClientRect();
  const hidden = at.height > 0 && (at.top < box.top + 40 || at.bottom > box.bottom - 40);
  if (hidden) nav.scrollTop += at.top - box.top - box.height / 2;
}

// --- begin -----------------------------------------------------------------------------------------------------------

const KEYS = {
  ArrowLeft: () => go(state.step - 1), ArrowRight: () => go(state.step + 1), Home: () => go(0),
  End: () => go(steps.length - 1), b: turn, c: () => moveChannel(1), t: changeTheme,
};
const SHIFTED = {
  ArrowLeft: () => movePixel(0, -1), ArrowRight: () => movePixel(0, 1), ArrowUp: () => movePixel(-1, 0),
  ArrowDown: () => movePixel(1, 0), C: () => moveChannel(-1),
};

function press(event) {
  const action = (event.shiftKey ? SHIFTED : KEYS)[event.key];
  if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault(); // or a slider in focus would go one step further
  action();
}

function stepOfAddress() {
  const id = decodeURIComponent(location.hash.slice(1));
  return Math.max(0, steps.findIndex((step) => step.id === id));
}

function begin() {
  slider.max = steps.length - 1;
  slider.oninput = () => go(Number(slider.value));
  document.getElementById("previous").onclick = () => go(state.step - 1);
  document.getElementById("next").onclick = () => go(state.step + 1);
  document.getElementById("theme").onclick = changeTheme;
  document.getElementById("ticks").append(...steps.map((step) => el("i", { class: wayOf(step) })));
  document.getElementById("steps").append(...steps.map((step) => {
    const text = step.way === "start" ? "the picture" : step.shown, dot = el("i", { class: wayOf(step) });
    return el("li", {}, el("button", { type: "button", onclick: () => go(step.k, { push: true }) }, dot, text));
  }));
  document.getElementById("contents").open = matchMedia("(min-width: 70rem)").matches;
  matchMedia("(prefers-color-scheme: dark)").onchange = () => render();
  if (!embedded) history.scrollRestoration = "manual";
  addEventListener("popstate", (event) => restore(event.state));
  addEventListener("hashchange", () => { if (stepOfAddress() !== state.step) restore(null); });
  addEventListener("keydown", press);
  return embedded ? go(0) : restore(history.state);
}

if (typeof DecompressionStream === "undefined") main.textContent = "This page needs a browser of 2023 or later.";
else window.walking = begin();
