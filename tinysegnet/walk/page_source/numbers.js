// Numbers as text.

/**
 * Format a number with six significant digits; a missing number becomes "?".
 *
 * @param {number | string | null | undefined} value
 */
export function format(value) {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "?";
  return written(value, 6, 1e-4, 1e6);
}

/**
 * Format a number with three significant digits.
 *
 * @param {number} value
 */
export const short = (value) => written(value, 3, 1e-3, 1e4);

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/**
 * Write a size with two significant digits and without an exponent or, if it is very small, as in 1.2 × 10⁻⁷.
 *
 * @param {number} size  at least 0
 */
export function plain(size) {
  if (size === 0 || size >= 1e-6 || !Number.isFinite(size)) return String(Number(size.toPrecision(2)));
  const [digits, power] = size.toExponential(1).split("e-");
  return `${digits} × 10⁻${Array.from(power, (digit) => SUPERSCRIPTS[Number(digit)]).join("")}`;
}

/**
 * Write a number with a true minus sign and, if it is smaller than `least` or at least `most`, with an exponent.
 *
 * @param {number} value
 * @param {number} digits
 * @param {number} least
 * @param {number} most
 */
function written(value, digits, least, most) {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value), extreme = size !== 0 && (size < least || size >= most);
  return (extreme ? value.toExponential(digits - 2) : String(Number(value.toPrecision(digits)))).replace(/-/g, "−");
}

/** @param {number[]} shape */
export const times = (shape) => shape.join(" × ");
