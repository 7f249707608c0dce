// The pointer and the arrow keys on the picture: they ask for a pixel's class or, in drawing mode, move the brush.

/** @typedef {[down: number, right: number]} Place  0..1 from the top and from the left */

const STEP = 0.02, LARGE_STEP = 0.1; // of the picture's size, per press of an arrow key
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/**
 * @typedef {object} Actions
 * @property {() => boolean} draws                     whether the pointer draws
 * @property {(place: Place | null, byKey: boolean) => void} inspect
 * @property {(place: Place) => void} begin            a stroke
 * @property {(place: Place) => void} extend
 */

/**
 * @param {HTMLElement} frame  the element that has exactly the picture's shape
 * @param {Actions} actions
 */
export function listen(frame, { draws, inspect, begin, extend }) {
  /** @type {Place} */
  let place = [0.5, 0.5];
  let pressed = false;
  const placeOf = (/** @type {PointerEvent} */ event) => {
    const box = frame.getBoundingClientRect();
    const share = (/** @type {number} */ at, /** @type {number} */ n) => Math.max(0, Math.min(1, at / n));
    const down = share(event.clientY - box.top, box.height), right = share(event.clientX - box.left, box.width);
    return /** @type {Place} */ ([down, right]);
  };
  frame.addEventListener("pointerdown", (event) => {
    place = placeOf(event);
    if (draws() && event.button === 0) {
      pressed = true;
      frame.setPointerCapture(event.pointerId);
      begin(place);
    }
    inspect(place, false);
  });
  frame.addEventListener("pointermove", (event) => {
    const moves = pressed ? event.getCoalescedEvents?.() ?? [event] : [];
    for (const move of moves) extend(placeOf(move));
    place = placeOf(event);
    inspect(place, false);
  });
  for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, () => { pressed = false; });
  frame.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") inspect(null, false); });
  frame.addEventListener("blur", () => inspect(null, false));
  frame.addEventListener("keydown", (event) => {
    const by = ARROWS[event.key], step = event.shiftKey ? LARGE_STEP : STEP;
    if (by) place = /** @type {Place} */ (place.map((at, k) => Math.max(0, Math.min(1, at + by[k] * step))));
    else if (event.key === " " && draws()) begin(place);
    else return;
    event.preventDefault();
    inspect(place, true);
  });
}
