// Strokes of a brush on the picture.

/**
 * In shares of the picture's size, the brush's width in shares of the picture's width.
 *
 * @typedef {{ color: string, width: number, points: [x: number, y: number][] }} Stroke
 */

/** @type {[name: string, color: string][]} */
export const COLORS = [["sky", "#9fc4ea"], ["asphalt", "#6d6e74"], ["leaves", "#4f7a3a"], ["brick", "#9c4a38"],
  ["yellow", "#e5b93c"], ["white", "#f4f3ee"], ["black", "#17181b"]];

export class Drawing {
  constructor() {
    /** @type {Stroke[]} */
    this.strokes = [];
    this.color = COLORS[1][1];
    this.width = 0.06;
  }

  /** @param {[number, number]} point */
  begin(point) {
    this.strokes.push({ color: this.color, width: this.width, points: [point] });
  }

  /** @param {[number, number]} point */
  extend(point) {
    this.strokes.at(-1)?.points.push(point);
  }

  undo() {
    this.strokes.pop();
  }

  clear() {
    this.strokes = [];
  }

  /** @param {CanvasRenderingContext2D} context */
  paint(context) {
    const { width: W, height: H } = context.canvas;
    context.lineCap = context.lineJoin = "round";
    for (const { color, width, points } of this.strokes) {
      const [[x, y], ...more] = points;
      context.strokeStyle = context.fillStyle = color;
      context.lineWidth = Math.max(1, width * W);
      context.beginPath();
      context.arc(x * W, y * H, context.lineWidth / 2, 0, 2 * Math.PI); // some browsers paint no line of one point
      context.fill();
      context.beginPath();
      context.moveTo(x * W, y * H);
      for (const [u, v] of more) context.lineTo(u * W, v * H);
      context.stroke();
    }
  }
}
