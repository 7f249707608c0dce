// Max-pooling and max-unpooling. (u, v) is a pixel of the smaller side, (y, x) one of the larger side.

import { format } from "walk/numbers.js";
import { largerPixels, smallerPixels } from "walk/windows.js";

/** @import { Formula, Line } from "walk/explanation.js" */

/** @type {Formula} */
export const max_pool2d = {
  forward(node, u, v, c) {
    const winner = node.position(u, v, c), K = node.windows.kernel[1];
    const pixels = largerPixels(node.windows, u, v, node.x);
    const lines = pixels.map(([i, j, y, x]) => {
      const here = i * K + j, remark = here === winner ? ", the maximum: its position is the index" : "";
      return /** @type {Line} */ (
        [`x[${y}, ${x}, ${c}]`, node.x.value(y, x, c), `position ${here}${remark}`, [node.x, y, x, c]]);
    });
    return [...lines, ["the largest", Math.max(...pixels.map(([, , y, x]) => node.x.value(y, x, c))), ""]];
  },

  // forward: out is one number of the window        so: that number receives all of dout
  backward(node, y, x, c) {
    const K = node.windows.kernel[1];
    let total = 0;
    const lines = smallerPixels(node.windows, y, x, node.dout).map(([i, j, u, v]) => {
      const won = node.position(u, v, c) === i * K + j, g = node.dout.value(u, v, c), share = won ? g : 0;
      const remark = won ? "this value was the window's maximum" : `not the maximum: ${format(g)} goes elsewhere`;
      total += share;
      return /** @type {Line} */ ([`from dout[${u}, ${v}, ${c}]`, share, remark, [node.dout, u, v, c]]);
    });
    return [...lines, ["dx", total, ""]];
  },

  shares(node, u, v, c, g) {
    const K = node.windows.kernel[1], winner = node.position(u, v, c);
    return largerPixels(node.windows, u, v, node.x).map(([i, j, y, x]) => {
      const won = i * K + j === winner;
      return [`dx[${y}, ${x}, ${c}] +=`, won ? g : 0, won ? "the maximum receives all of it" : "", [y, x, c]];
    });
  },
};

/** @type {Formula} */
export const max_unpool2d = {
  forward(node, y, x, c) {
    const [[i, j, u, v]] = smallerPixels(node.windows, y, x, node.x), here = i * node.windows.kernel[1] + j;
    const winner = node.position(u, v, c), lands = winner === here, value = node.x.value(u, v, c);
    return [
      ["the window's value", value, `x[${u}, ${v}, ${c}]`, [node.x, u, v, c]],
      ["its index", String(winner), `it goes to position ${winner} of the window; this is position ${here}`],
      [lands ? "it is put here" : "it is put elsewhere, so this is", lands ? value : 0, ""],
    ];
  },

  // forward: x went to one position in the window        so: dx is dout at that position
  backward(node, u, v, c) {
    const K = node.windows.kernel[1], winner = node.position(u, v, c);
    const pixels = largerPixels(node.windows, u, v, node.dout);
    const [, , y, x] = pixels.filter(([i, j]) => i * K + j === winner)[0];
    return [
      ["its index", String(winner), `so this value was put at row ${y}, column ${x}`],
      [`dout[${y}, ${x}, ${c}]`, node.dout.value(y, x, c), "is read from there", [node.dout, y, x, c]],
    ];
  },

  shares(node, y, x, c, g) {
    const [[i, j, u, v]] = smallerPixels(node.windows, y, x, node.x);
    const here = node.position(u, v, c) === i * node.windows.kernel[1] + j;
    const remark = here ? "all of it goes to the value that was put here" : "no value was put here, so it ends here";
    return [[`dx[${u}, ${v}, ${c}]`, here ? g : 0, remark, [u, v, c]]];
  },
};
