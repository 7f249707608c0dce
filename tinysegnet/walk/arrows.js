// The arrows of a pooling or an unpooling: where in each window its maximum was.
//
// Windows stand apart, and the arrows run in the streets between their rows, so that none crosses a number.

const CELL = 26, STREET = 1.5 * CELL, SHOWN = 3;

/**
 * Nine windows around the one of the pixel: the larger map, the smaller one, and an arrow for each window.
 *
 * upwards: from the smaller map to the larger. read, made: the maps' letters.
 */
function arrows(node, small, large, upwards, u, v, channel, [read, made]) {
  const K = node.windows.kernel, rows = Math.min(SHOWN, small.H), columns = Math.min(SHOWN, small.W);
  const top = Math.max(0, Math.min(u - 1, small.H - rows)), left = Math.max(0, Math.min(v - 1, small.W - columns));
  const wide = columns * (K[1] + 0.5) * CELL, narrow = columns * 1.5 * CELL, gap = 2.2 * CELL;
  const [largeAt, smallAt] = upwards ? [narrow + gap, 0] : [0, wide + gap], height = K[0] * CELL + STREET;
  const [largeName, smallName] = upwards ? [made, read] : [read, made];
  const viewBox = `-2 -16 ${wide + narrow + gap} ${rows * height + STREET + 18}`;
  const label = `arrows between each window's maximum in ${largeName} and ${smallName}`;
  const picture = svg("svg", { viewBox, class: "arrows", role: "img", "aria-label": label });
  picture.append(caption(largeAt, largeName), caption(smallAt, smallName));
  const palette = data.arrows[isDark() ? "dark" : "light"], lines = [];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const window = { row: top + r, column: left + c, colour: palette[(r * columns + c) % palette.length] };
      window.thick = window.row === u && window.column === v;
      window.large = [largeAt + c * (K[1] + 0.5) * CELL, STREET + r * height];
      window.small = [smallAt + c * 1.5 * CELL, window.large[1] + ((K[0] - 1) / 2) * CELL];
      window.lane = STREET * (0.14 + (0.3 * c) / Math.max(columns - 1, 1));
      lines.push(...drawWindow(picture, window, node, small, large, channel, upwards));
    }
  }
  picture.append(...lines);
  const words = upwards
    ? `Each number of ${read} goes to where the maximum of its window had been; every other place of ${made} is 0.`
    : "From the place of each window's maximum to its place in the smaller map.";
  const figcaption = el("figcaption", {}, `${words} The thick arrow is your pixel's window.`);
  return el("figure", { class: "arrow-figure" }, picture, figcaption);
}

/** A window, its cell in the smaller map, a frame around its maximum; -> its arrow, to be drawn above all cells. */
function drawWindow(picture, { row, column, colour, thick, large: [x0, y0], small: [x1, y1], lane }, node, small, large,
                    channel, upwards) {
  const K = node.windows.kernel, S = node.windows.stride, p = node.position(row, column, channel);
  const i = Math.floor(p / K[1]), j = p % K[1], line = thick ? 4 : 2.5;
  for (let a = 0; a < K[0]; a++) {
    for (let b = 0; b < K[1]; b++) {
      const y = row * S[0] + a, x = column * S[1] + b, inside = y < large.H && x < large.W;
      picture.append(cell(x0 + b * CELL, y0 + a * CELL, inside ? shade(large, y, x, channel) : "none"));
    }
  }
  picture.append(cell(x1, y1, shade(small, row, column, channel)));
  picture.append(frame(x0, y0, K[1] * CELL, K[0] * CELL, colour, 1));
  picture.append(frame(x0 + j * CELL + 2, y0 + i * CELL + 2, CELL - 4, CELL - 4, colour, line));
  picture.append(frame(x1 + 2, y1 + 2, CELL - 4, CELL - 4, colour, line));
  const above = i < K[0] / 2, edge = above ? 0 : CELL, street = above ? y0 - lane : y0 + K[0] * CELL + lane;
  const ends = [[x0 + (j + 0.5) * CELL, y0 + i * CELL + edge], [x1 + CELL / 2, y1 + edge]];
  return arrow(upwards ? ends.reverse() : ends, street, colour, thick);
}

function shade(map, y, x, channel) {
  const value = (map.planes[(channel * map.H + y) * map.W + x] * map.scales[channel]) / 127;
  return css(colourOf(value, scaleOf(map, channel)));
}

const cell = (x, y, fill) => svg("rect", { x, y, width: CELL, height: CELL, fill, class: "cell" });

const frame = (x, y, width, height, stroke, line) =>
  svg("rect", { x, y, width, height, fill: "none", stroke, "stroke-width": line });

function caption(x, text) {
  const node = svg("text", { x, y: -2, class: "caption" });
  node.textContent = text;
  return node;
}

/** Out of its cell into the street, along it, and into the other cell; with a head. */
function arrow([[x1, y1], [x2, y2]], street, stroke, thick) {
  const down = Math.sign(y2 - street), half = thick ? 5 : 3.5;
  const d = `M ${x1} ${y1} V ${street} H ${x2} V ${y2 - 8 * down}`, width = thick ? 3 : 1.5;
  return [
    svg("path", { d, fill: "none", class: "halo" }),
    svg("path", { d, fill: "none", stroke, "stroke-width": width, "stroke-linejoin": "round" }),
    svg("path", { d: `M ${x2} ${y2} l ${-half} ${-8 * down} h ${2 * half} z`, fill: stroke }),
  ];
}
