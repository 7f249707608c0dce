// The worker: the same passes outside the page's thread, so that the page answers at once.

import { responder } from "live/passes.js";

/** @import { Answer } from "live/passes.js" */

/** @typedef {{ postMessage: (answer: Answer, transfer: Transferable[]) => void }} Scope */

const scope = /** @type {Scope} */ (/** @type {unknown} */ (self));
const respond = responder((answer, transfer = []) => scope.postMessage(answer, transfer));
self.onmessage = (event) => respond(event.data);
