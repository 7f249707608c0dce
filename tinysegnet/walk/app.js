// Walking: which step is shown, and what moves it: slider, keys, clicks, the list, the address.

const steps = data.steps.map((step, k) => ({ ...step, k, name: data.nodes[step.node].name, id: `${step.way.replace(" ", "-")}:${data.nodes[step.node].name}` }));
const embedded = location.protocol === "about:"; // in a notebook's frame the address is not ours
steps[0].id = "start";

function go(k) {
  state.step = Math.max(0, Math.min(steps.length - 1, k));
  state.all = false;
  slider.value = state.step;
  if (!embedded) history.replaceState(null, "", "#" + steps[state.step].id);
  return render().then(() => scrollTo({ top: 0 }));
}

/** From a layer's step to the same layer's step in the other direction. */
function turn() {
  const step = steps[state.step], other = steps.find((s) => s !== step && s.node === step.node && s.way !== "start");
  if (other) go(other.k);
}

/** To a neighbour among the pixels that can be clicked. */
async function movePixel(down, right) {
  const step = steps[state.step], result = resultOf(step, await nodeOf(step.node)), [y, x] = pixelAt(result, state.place);
  const next = (axis, at, by) => axis[Math.max(0, Math.min(axis.length - 1, axis.indexOf(at) + by))];
  state.place = [(next(result.grid[0], y, down) + 0.5) / result.H, (next(result.grid[1], x, right) + 0.5) / result.W];
  return render();
}

async function moveChannel(by) {
  const step = steps[state.step], result = resultOf(step, await nodeOf(step.node));
  state.channel = (Math.min(state.channel, result.shown - 1) + by + result.shown) % result.shown;
  return render();
}

function changeTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  render();
}

// --- a step -------------------------------------------------------------------------------------------------------------

/** The arrays of a step: what it reads, and last what it makes. [letter, where from, tensor] each. */
function arraysOf(step, node) {
  const before = node.k > 0 ? `from ${data.nodes[node.k - 1].name}` : "the picture";
  const behind = data.nodes[node.k + 1] && data.nodes[node.k + 1].name !== "answer" ? `from ${data.nodes[node.k + 1].name}` : "from the loss";
  if (step.way === "answer") return [["logits", before, node.x], ["p", "probabilities", node.out]];
  if (step.way === "loss") return [["p", "from softmax", node.x], ["loss", "each pixel's part", node.out]];
  if (step.way === "loss backward") return [["p", "probabilities", node.x], ["dlogits", `to ${data.nodes[node.k - 2].name}`, node.dx]];
  if (step.way === "backward") {
    const kept = node.kind === "tap" ? [["dkept", `from ${node.partner}`, node.dother]] : [];
    return [["dout", behind, node.dout], ...kept, ["dx", node.k > 0 ? `to ${data.nodes[node.k - 1].name}` : "of the picture", node.dx]];
  }
  if (node.kind === "add") return [["x", before, node.x], ["kept", `from ${node.partner}`, node.other], ["out", "x + kept", node.out]];
  if (node.kind === "tap") return [["x", before, node.x], ["kept", `to ${node.partner}`, node.other]];
  return [["x", before, node.x], ["out", "of this layer", node.out]];
}

/** The box [y, x, height, width] of pixels of `tensor` that (y, x) of the result was made of. */
function markOf(step, node, tensor, y, x) {
  if (!node.windows || step.way === "answer" || step.way.startsWith("loss")) return [y, x, 1, 1];
  const resultIsLarge = node.windows.large === (step.way === "backward" ? "in" : "out");
  const pixels = (resultIsLarge ? over : under)(node.windows, y, x, tensor).map(([, , p, q]) => [p, q]);
  const [rows, columns] = [pixels.map(([p]) => p), pixels.map(([, q]) => q)];
  const [top, left] = [Math.min(...rows), Math.min(...columns)];
  return [top, left, Math.max(...rows) - top + 1, Math.max(...columns) - left + 1];
}

function panels(step, node, y, x) {
  const arrays = arraysOf(step, node), result = arrays[arrays.length - 1][2], mixes = FULL.has(node.kind) && (node.kind !== "tap" || node.through);
  return arrays.map(([letter, from, tensor], k) => {
    const last = k === arrays.length - 1, own = last || !mixes || (node.kind === "tap" && letter === "dout");
    const wanted = own ? state.channel : state.reading, channel = Math.min(wanted, tensor.shown - 1);
    const choose = (c) => { state[own ? "channel" : "reading"] = c; render(); };
    const direct = last || (node.kind === "tap" && letter === "dout");
    const marks = direct ? [] : [markOf(step, node, tensor, y, x)];
    return panel({ letter, from, tensor, channel, choose, marks, pixel: direct ? [y, x] : null, result });
  });
}

function headline(step, node) {
  const label = WAYS[step.way], twin = steps.find((s) => s !== step && s.node === step.node && s.way !== "start");
  const name = step.way === "start" ? data.title : step.way === "answer" || step.way.startsWith("loss") ? step.title : step.name;
  return el("div", { class: "headline" }, el("p", { class: `way ${label.replace(" ", "-")}` }, `${label}`, step.way === "forward" || step.way === "backward" ? ` · ${step.title}` : ""),
    el("h1", {}, name),
    rich("p", { class: "what" }, step.what), step.why ? rich("p", { class: "why" }, step.why) : null,
    step.formula ? rich("pre", { class: "formula" }, step.formula) : null, parameters(step),
    twin && step.way !== "start" ? el("button", { type: "button", class: "choice", onclick: turn }, twin.way.endsWith("backward") ? "to its backward (b)" : "to its forward (b)") : null);
}

function parameters(step) {
  if (!step.params.length) return null;
  const back = step.params[0].norm !== undefined;
  const rows = step.params.map((p) => [el("code", {}, p.name), times(p.shape), p.low, p.high, ...(back ? [p.norm, p.share === null ? "" : p.share] : [])]);
  return table(back ? ["gradient", "shape", "smallest", "largest", "norm", "norm / norm of the parameter"] : ["parameter", "shape", "smallest", "largest"], rows);
}

/** The first step: what was asked, what was answered. */
function overview() {
  const names = { picture: "picture", prediction: "prediction", labels: "labels", error: "where it is wrong" };
  const pictures = Object.entries(data.pictures).map(([name, uri]) => el("figure", {}, el("img", { src: uri, alt: names[name] }), el("figcaption", {}, names[name])));
  const legend = el("ul", { class: "legend" }, data.classes.map((one) => el("li", { class: "class" }, el("span", { class: "swatch", style: `background: ${one.colour}` }), el("span", {}, one.name))),
    data.pictures.labels && data.void ? el("li", { class: "class" }, el("span", { class: "swatch void" }), "not labelled") : null);
  const facts = el("dl", { class: "facts" }, data.facts.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))));
  return el("section", { class: "overview" }, el("div", { class: "pictures" }, pictures), legend, facts);
}

function sourceOf(step) {
  const source = data.sources[step.source];
  if (!source) return null;
  const code = el("code", {});
  let quoted = false;
  for (const line of source.text.split("\n")) {
    const marks = line.split('"""').length - 1, quiet = quoted || marks > 0 || line.trim().startsWith("#");
    if (marks % 2) quoted = !quoted;
    code.append(quiet ? el("i", {}, line) : line, "\n");
  }
  return el("details", { class: "source", open: true }, el("summary", {}, "The code that computed it"), el("p", { class: "quiet" }, source.head), el("pre", {}, code));
}

/** Arrows between windows and their maxima, for pooling and unpooling in both directions. */
function arrowsOf(step, node, y, x, channel) {
  if (!node.position || node.facts.fixed) return null;
  const back = step.way === "backward", small = node.windows.large === "in" ? [node.out, node.dout] : [node.x, node.dx];
  const large = node.windows.large === "in" ? [node.x, node.dx] : [node.out, node.dout];
  const onLarge = node.windows.large === (back ? "in" : "out");
  const [u, v] = onLarge ? over(node.windows, y, x, small[0])[0].slice(2) : [y, x];
  return arrows(node, small[back ? 1 : 0], large[back ? 1 : 0], onLarge, u, v, channel, arraysOf(step, node).map(([letter]) => letter));
}

/** In the list, which scrolls by itself so that the step is seen. */
function markStep(current) {
  const nav = document.querySelector("nav"), buttons = document.querySelectorAll("#steps button");
  buttons.forEach((button, k) => (k === current ? button.setAttribute("aria-current", "step") : button.removeAttribute("aria-current")));
  const [box, at] = [nav.getBoundingClientRect(), buttons[current].getBoundingClientRect()];
  if (at.height && (at.top < box.top + 40 || at.bottom > box.bottom - 40)) nav.scrollTop += at.top - box.top - box.height / 2;
}

async function render() {
  const turnOf = ++state.rendering, step = steps[state.step];
  const node = { ...(await nodeOf(step.node)), k: step.node };
  if (turnOf !== state.rendering) return; // another step was asked for in the meantime
  slider.setAttribute("aria-valuetext", `${step.name}, ${WAYS[step.way]}`);
  document.getElementById("where").replaceChildren(`${step.k + 1} of ${steps.length}`, el("span", { class: `way ${WAYS[step.way].replace(" ", "-")}` }, WAYS[step.way]), el("b", {}, step.way === "start" ? data.title : step.name));
  markStep(step.k);
  if (step.way === "start") {
    const [y, x] = pixelAt(node.x, state.place), channel = Math.min(state.channel, node.x.shown - 1);
    const choose = (c) => { state.channel = c; render(); };
    const values = [0, 1, 2].map((c) => [node.x.names[c], node.x.value(y, x, c)]);
    main.replaceChildren(headline(step, node), overview(), el("div", { class: "panels" }, panel({ letter: "x", from: "the picture as the network gets it", tensor: node.x, channel, choose, marks: [], pixel: [y, x] })),
      el("section", {}, el("h3", {}, `The pixel you clicked: row ${y}, column ${x}`), table(["colour", "number"], values)));
    return;
  }
  const result = resultOf(step, node), [y, x] = pixelAt(result, state.place), channel = Math.min(state.channel, result.shown - 1);
  const found = explain(step, node, y, x, channel);
  main.replaceChildren(headline(step, node),
    el("p", { class: "choices" }, toggle("one scale for all channels", state.common, () => { state.common = true; }), toggle("a scale for each", !state.common, () => { state.common = false; })),
    el("div", { class: "panels" }, panels(step, node, y, x)),
    el("p", { class: "quiet" }, `Orange is above zero, blue below. Click a picture: of ${result.grid[0].length} × ${result.grid[1].length} pixels, the dots, the page knows the exact numbers.`),
    ...[arrowsOf(step, node, y, x, channel), made(step, node, found), goes(step, node, found, y, x, channel), sourceOf(step)].filter(Boolean));
}

// --- begin --------------------------------------------------------------------------------------------------------------

function begin() {
  slider.max = steps.length - 1;
  slider.oninput = () => go(Number(slider.value));
  document.getElementById("previous").onclick = () => go(state.step - 1);
  document.getElementById("next").onclick = () => go(state.step + 1);
  document.getElementById("theme").onclick = changeTheme;
  document.getElementById("ticks").append(...steps.map((step) => el("i", { class: WAYS[step.way].replace(" ", "-") })));
  document.getElementById("steps").append(...steps.map((step) => el("li", {}, el("button", { type: "button", onclick: () => go(step.k) },
    el("i", { class: WAYS[step.way].replace(" ", "-") }), step.way === "start" ? "the picture" : step.way === "answer" || step.way.startsWith("loss") ? step.title : step.name))));
  document.getElementById("contents").open = matchMedia("(min-width: 70rem)").matches;
  matchMedia("(prefers-color-scheme: dark)").onchange = () => render();
  addEventListener("hashchange", () => go(stepOfAddress()));
  addEventListener("keydown", press);
  return go(stepOfAddress());
}

function stepOfAddress() {
  const id = decodeURIComponent(location.hash.slice(1));
  return Math.max(0, steps.findIndex((step) => step.id === id));
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = event.shiftKey ? {
    ArrowLeft: () => movePixel(0, -1), ArrowRight: () => movePixel(0, 1), ArrowUp: () => movePixel(-1, 0), ArrowDown: () => movePixel(1, 0), C: () => moveChannel(-1),
  } : {
    ArrowLeft: () => go(state.step - 1), ArrowRight: () => go(state.step + 1), Home: () => go(0), End: () => go(steps.length - 1), b: turn, c: () => moveChannel(1), t: changeTheme,
  };
  if (!keys[event.key]) return;
  event.preventDefault(); // or a slider in focus would go one step further
  keys[event.key]();
}

if (typeof DecompressionStream === "undefined") main.textContent = "This page needs a browser of 2023 or later.";
else window.walking = begin();
