// Which channel is shown: the one that the reader chose, else the one with most to see; and which step made an array.

/** A step's result in the data, by number. */
const numberMade = (step) => resultOf(step, data.nodes[step.node]);

/** What a step of sums reads, by number. */
function numberRead(step) {
  const node = data.nodes[step.node];
  if (step.way !== "backward") return node.x;
  return node.kind === "tap" ? node.dother : node.dout;
}

/** The last step before `step` that made the array of this number, or undefined. */
const makerOf = (number, step) => steps.slice(0, step.k).findLast((s) => numberMade(s) === number);

/** Steps that share a choice: those with the same names of channels, or as many channels in the same stage. */
function familyOf(step) {
  const { names, shape } = data.tensors[numberMade(step)];
  return names ? names.join() : `${step.name.split(".")[0]} ${shape[2]}`;
}

/** The channel of a step's result: in a stage the one with most to see at its end; of the classes, in the answer. */
function channelFor(step) {
  const family = familyOf(step);
  if (family in state.chosen) return state.chosen[family];
  const forward = steps.filter((s) => s.way === "forward" || s.way === "answer");
  const last = forward.findLast((s) => familyOf(s) === family) || step, about = data.tensors[numberMade(last)];
  return about.names && last.way !== "answer" ? 0 : about.strongest; // red comes first
}

/** While no class was chosen: that of the pixel, the predicted one, in the loss the true one. null for other steps. */
function classFor(step, node, y, x) {
  const answer = steps.find((s) => s.way === "answer"), loss = step.way === "loss";
  if (familyOf(step) in state.chosen || !(loss || familyOf(step) === familyOf(answer))) return null;
  const label = loss ? labelAt(node, y, x) : null;
  if (label !== null) return label;
  return Math.max(0, softmaxAt(node.logits || (step.way === "answer" ? node.x : node.out), y, x).best);
}

/** The channel of what a step reads. */
function readingFor(step) {
  const number = numberRead(step), about = data.tensors[number];
  if (number in state.readings) return state.readings[number];
  return about.names ? 0 : about.strongest;
}

function chooseChannel(c) {
  const step = steps[state.step];
  state.channel = state.chosen[familyOf(step)] = c;
  return render();
}

function chooseReading(c) {
  state.reading = state.readings[numberRead(steps[state.step])] = c;
  return render();
}
