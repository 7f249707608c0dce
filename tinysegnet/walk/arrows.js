// The arrows of a pooling or an unpooling: where in each window its maximum was.
//
// Windows stand apart, and the arrows run in the streets between their rows, so that none crosses a number.

const CELL = 26, STREET = 1.5 * CELL, SHOWN = 3;

/** Nine windows around the one of the pixel: the larger map, the smaller one, and an arrow for each window.
 *
 * upwards: from the smaller map to the larger. read, made: the maps' letters. */
function arrows(node, small, large, upwards, u, v, channel, [read, made]) {
  const K = node.windows.kernel, S = node.windows.stride, rows = Math.min(SHOWN, small.H), columns = Math.min(SHOWN, small.W);
  const top = Math.max(0, Math.min(u - 1, small.H - rows)), left = Math.max(0, Math.min(v - 1, small.W - columns));
  const wide = columns * (K[1] + 0.5) * CELL, narrow = columns * 1.5 * CELL, gap = 2.2 * CELL;
  const [largeAt, smallAt] = upwards ? [narrow + gap, 0] : [0, wide + gap];
  const rowAt = (r) => STREET + r * (K[0] * CELL + STREET);
  const picture = svg("svg", { viewBox: `-2 -16 ${wide + narrow + gap} ${rowAt(rows) + 18}`, class: "arrows", role: "img",
    "aria-label": `arrows between each window's maximum in ${upwards ? made : read} and ${upwards ? read : made}` });
  picture.append(caption(largeAt, upwards ? made : read), caption(smallAt, upwards ? read : made));
  const palette = data.arrows[isDark() ? "dark" : "light"], lines = [];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const [row, column] = [top + r, left + c], p = node.position(row, column, channel), [i, j] = [Math.floor(p / K[1]), p % K[1]];
      const colour = palette[(r * columns + c) % palette.length], chosen = row === u && column === v;
      const [x0, y0] = [largeAt + c * (K[1] + 0.5) * CELL, rowAt(r)], [x1, y1] = [smallAt + c * 1.5 * CELL, y0 + ((K[0] - 1) / 2) * CELL];
      for (let a = 0; a < K[0]; a++) {
        for (let b = 0; b < K[1]; b++) {
          const [y, x] = [row * S[0] + a, column * S[1] + b], inside = y < large.H && x < large.W;
          picture.append(cell(x0 + b * CELL, y0 + a * CELL, inside ? shade(large, y, x, channel) : "none"));
        }
      }
      picture.append(cell(x1, y1, shade(small, row, column, channel)), frame(x0, y0, K[1] * CELL, K[0] * CELL, colour, 1));
      picture.append(frame(x0 + j * CELL + 2, y0 + i * CELL + 2, CELL - 4, CELL - 4, colour, chosen ? 4 : 2.5));
      picture.append(frame(x1 + 2, y1 + 2, CELL - 4, CELL - 4, colour, chosen ? 4 : 2.5));
      const above = i < K[0] / 2, away = STREET * (0.14 + (0.3 * c) / Math.max(columns - 1, 1)), edge = above ? 0 : CELL;
      const lane = above ? y0 - away : y0 + K[0] * CELL + away;
      const ends = [[x0 + (j + 0.5) * CELL, y0 + i * CELL + edge], [x1 + CELL / 2, y1 + edge]];
      lines.push(...line(upwards ? ends.reverse() : ends, lane, colour, chosen));
    }
  }
  picture.append(...lines);
  const words = upwards ? `Each number of ${read} goes to where the maximum of its window had been; every other place of ${made} is 0.` :
    `From the place of each window's maximum to its place in the smaller map.`;
  return el("figure", { class: "arrow-figure" }, picture, el("figcaption", {}, words + " The thick arrow is your pixel's window."));
}

function shade(map, y, x, channel) {
  const value = (map.planes[(channel * map.H + y) * map.W + x] * map.scales[channel]) / 127;
  return css(colourOf(value, state.common ? Math.max(...map.scales) : map.scales[channel]));
}

const cell = (x, y, fill) => svg("rect", { x, y, width: CELL, height: CELL, fill, class: "cell" });
const frame = (x, y, width, height, stroke, line) => svg("rect", { x, y, width, height, fill: "none", stroke, "stroke-width": line });

const caption = (x, text) => {
  const node = svg("text", { x, y: -2, class: "caption" });
  node.textContent = text;
  return node;
};

/** Out of its cell into the street, along it at the height of its lane, and into the other cell; with a head. */
function line([[x1, y1], [x2, y2]], lane, stroke, thick) {
  const down = Math.sign(y2 - lane), half = thick ? 5 : 3.5, end = y2 - 8 * down;
  const d = `M ${x1} ${y1} V ${lane} H ${x2} V ${end}`;
  return [svg("path", { d, fill: "none", class: "halo" }),
    svg("path", { d, fill: "none", stroke, "stroke-width": thick ? 3 : 1.5, "stroke-linejoin": "round" }),
    svg("path", { d: `M ${x2} ${y2} l ${-half} ${-8 * down} h ${2 * half} z`, fill: stroke })];
}
