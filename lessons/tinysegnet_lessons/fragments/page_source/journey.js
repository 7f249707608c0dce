// Every number of a small SegNet on one screen. A click on a number shows the sum that made it.

import { board, grey, largestOf, signed, solid } from "./boards.js";
import { conv, firstLargest, largest, pool, relu, termsAt, unpool, windowOf } from "./journey_formula.js";
import { button, el, format, panel, range, start, table, term } from "./shared.js";

/** @import { Maps } from "./journey_formula.js" */
/** @import { Frame } from "./boards.js" */

const EDGE = [
    [
      [-1, 0, 1],
      [-1, 0, 1],
      [-1, 0, 1],
    ],
  ],
  BRIGHT = [
    [
      [0, 1, 0],
      [1, 1, 1],
      [0, 1, 0],
    ],
  ];
const ENCODER = [EDGE, BRIGHT],
  ENCODER_BIAS = [0, -8];
const DECODER = [
  [
    [
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ],
    [
      [-1, -1, -1],
      [-1, -1, -1],
      [-1, -1, -1],
    ].map((row) => row.map((w) => w / 4)),
  ],
  [
    [
      [1, 0, 0],
      [1, 1, 0],
      [1, 0, 0],
    ].map((row) => row.map((w) => w / 4)),
    [
      [1, 1, 1],
      [1, 2, 1],
      [1, 1, 1],
    ].map((row) => row.map((w) => w / 4)),
  ],
];
const DECODER_BIAS = [6, 0],
  CLASSES = ["ground", "lamp"];
const STAGES = ["x", "conv", "ReLU", "pooled", "indices", "unpooled", "logits", "prediction"];

/** @type {{ x: number[][], chosen: { stage: string, f: number, at: [number, number] } }} */
const state = {
  x: [
    [0, 0, 4, 4],
    [0, 1, 3, 4],
    [0, 0, 5, 4],
    [0, 0, 4, 3],
  ],
  chosen: { stage: "logits", f: 1, at: [1, 2] },
};

/** @param {number[][]} x  @returns {{ [stage: string]: Maps }} */
function network(x) {
  const hidden = conv([x], ENCODER, ENCODER_BIAS),
    active = relu(hidden),
    pooled = pool(active, largest),
    indices = pool(active, firstLargest);
  const unpooled = unpool(pooled, indices),
    logits = conv(unpooled, DECODER, DECODER_BIAS);
  const prediction = [logits[0].map((row, r) => row.map((logit, c) => (logits[1][r][c] > logit ? 1 : 0)))];
  return { x: [x], conv: hidden, ReLU: active, pooled, indices, unpooled, logits, prediction };
}

const answer = el("div", { class: "sum", "aria-live": "polite" });
const groups = STAGES.map((stage) => {
  const count = stage === "x" || stage === "prediction" ? 1 : 2;
  const boards = range(count).map((f) =>
    board(`${stage}${count > 1 ? `, ${stage === "logits" ? CLASSES[f] : `channel ${f}`}` : ""}`, {
      act: (r, c, key) => choose(stage, f, r, c, key),
    }),
  );
  const title =
    {
      x: "x: the picture",
      conv: "conv: edges, brightness",
      logits: "logits: ground, lamp",
      indices: "indices, two bits",
    }[stage] ?? stage;
  return {
    stage,
    boards,
    root: panel(
      title,
      el(
        "div",
        { class: "maps" },
        boards.map(({ root }) => root),
      ),
    ),
  };
});
const flow = el(
  "div",
  { class: "flow" },
  groups.map(({ root }) => root),
  answer,
);

/** @type {(stage: string, f: number, r: number, c: number, key: string) => void} */
function choose(stage, f, r, c, key) {
  state.chosen = { stage, f, at: [r, c] };
  if (stage === "x" && key !== "tap")
    setPixel(r, c, key === "+" ? state.x[r][c] + 1 : key === "-" ? state.x[r][c] - 1 : Number(key));
  else draw();
}

/** @param {number} r  @param {number} c  @param {number} value */
function setPixel(r, c, value) {
  state.x[r][c] = Math.min(9, Math.max(0, value));
  draw();
}

/** @typedef {{ from: string, frames: [channel: number, ...Frame][], words: (Node | string)[] }} Answer */

/**
 * Say how the chosen number was computed, and from which numbers.
 *
 * @param {{ [stage: string]: Maps }} maps
 * @returns {Answer}
 */
function explained(maps) {
  const {
      stage,
      f,
      at: [r, c],
    } = state.chosen,
    value = maps[stage][f][r][c],
    name = el("b", {}, `${stage}[${r}, ${c}${stage === "x" || stage === "prediction" ? "" : `, ${f}`}]`);
  const before =
    {
      conv: "x",
      ReLU: "conv",
      pooled: "ReLU",
      indices: "ReLU",
      unpooled: "pooled",
      logits: "unpooled",
      prediction: "logits",
    }[stage] ?? "";
  /**
   * @type {(channels: number[], top: number, left: number, rows: number, columns: number,
   *         words: (Node | string)[]) => Answer}
   */
  const found = (channels, top, left, rows, columns, words) => ({
    from: before,
    words: [name, ...words],
    frames: channels.map((k) => [k, top, left, rows, columns, "source"]),
  });
  if (stage === "x") {
    return {
      from: "",
      frames: [],
      words: [
        name,
        ` = ${value}. Change it, and every number after it follows. `,
        el(
          "span",
          { class: "choices" },
          button("− 1", () => setPixel(r, c, value - 1)),
          button("+ 1", () => setPixel(r, c, value + 1)),
        ),
      ],
    };
  }
  if (stage === "conv" || stage === "logits") {
    const [weight, bias] = stage === "conv" ? [ENCODER, ENCODER_BIAS] : [DECODER, DECODER_BIAS],
      terms = termsAt(maps[before], weight, f, r, c);
    let total = bias[f];
    const rows = terms
      .filter((part) => part.number && part.weight)
      .map((part) => {
        total += part.number * part.weight;
        return [
          `${before}[${part.y}, ${part.x}${stage === "conv" ? "" : `, ${part.c}`}]`,
          format(part.number),
          format(part.weight),
          format(part.number * part.weight),
          format(total),
        ];
      });
    const [top, left] = [Math.max(r - 1, 0), Math.max(c - 1, 0)],
      zeros = terms.length - rows.length;
    return found(range(maps[before].length), top, left, Math.min(r + 2, 4) - top, Math.min(c + 2, 4) - left, [
      ` = ${format(value)}: the sum of a window's numbers times the weights.`,
      table(
        ["number", "value", "× weight", "= product", "total"],
        [["bias", "", "", format(bias[f]), format(bias[f])], ...rows],
      ),
      el("p", { class: "quiet" }, `${zeros} of the ${terms.length} products are 0.`),
    ]);
  }
  if (stage === "ReLU") return found([f], r, c, 1, 1, [` = max(${format(maps.conv[f][r][c])}, 0) = ${format(value)}`]);
  if (stage === "pooled" || stage === "indices") {
    const window = windowOf(maps.ReLU[f], r, c),
      p = firstLargest(window);
    return found([f], 2 * r, 2 * c, 2, 2, [
      stage === "pooled"
        ? ` = max(${window.map((number) => format(number)).join(", ")}) = ${format(value)}`
        : `: the first maximum of ${window.map((number) => format(number)).join(", ")} is at position ${p}`,
    ]);
  }
  if (stage === "unpooled") {
    const u = r >> 1,
      v = c >> 1,
      p = maps.indices[f][u][v],
      here = 2 * (r % 2) + (c % 2);
    return found([f], u, v, 1, 1, [
      ` = ${format(value)}. The index of its window is ${p}, and this is position ${here}. `,
      p === here ? "So the pooled number is put here." : "So it stays 0.",
    ]);
  }
  const logits = range(2).map((k) => maps.logits[k][r][c]);
  return found([0, 1], r, c, 1, 1, [
    `: ground has the logit ${format(logits[0])} and lamp ${format(logits[1])}, so the pixel is ${CLASSES[value]}. `,
    `The probability of lamp is 1 / (1 + exp(${format(logits[0])} − ${term(logits[1])})) = `,
    `${format(1 / (1 + Math.exp(logits[0] - logits[1])), 3)}.`,
  ]);
}

function draw() {
  const maps = network(state.x),
    { stage, f, at } = state.chosen,
    { from, frames, words } = explained(maps);
  for (const group of groups) {
    const strongest = Math.max(...maps[group.stage].map(largestOf));
    group.boards.forEach((shown, k) => {
      /** @type {Frame[]} */
      const around = frames
        .filter(([channel]) => group.stage === from && channel === k)
        .map(([, ...frame]) => /** @type {Frame} */ (frame));
      if (group.stage === stage && k === f) around.push([...at, 1, 1, ""]);
      shown.show(
        maps[group.stage][k],
        (value) => {
          if (group.stage === "x") return { paint: grey(value / 9) };
          if (group.stage === "indices") return { text: value.toString(2).padStart(2, "0") };
          if (group.stage === "prediction")
            return { text: CLASSES[value][0], told: CLASSES[value], paint: value ? solid("C") : null };
          return { text: format(value, 3), paint: signed(value, strongest) };
        },
        around,
      );
    });
  }
  answer.replaceChildren(...words);
  // On a phone, the sum stands below the maps of the chosen number.
  if (innerWidth <= 700) groups.find((group) => group.stage === stage)?.root.after(answer);
  else flow.append(answer);
}

start([flow, el("p", { class: "quiet" }, "Batch norm is left out. g: ground, l: lamp.")], draw);
