// Runs passes one after the other. While one is running, only the newest request waits, so camera frames are dropped.

import { responder } from "live/passes.js";
import { bytesOf, data } from "live/payload.js";

/** @import { Answer, Compared, Done, Picture, Stage, Start } from "live/passes.js" */

/** @typedef {Omit<Picture, "kind" | "id">} Request */

/**
 * @typedef {object} Listener
 * @property {() => void} ready
 * @property {(stage: Stage) => void} stage
 * @property {(compared: Compared) => void} compared
 * @property {(done: Done) => void} done
 * @property {(message: string) => void} failed
 * @property {(busy: boolean) => void} busy
 */

export class Runner {
  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener;
    /** @type {(() => Request | null) | null} */
    this.waiting = null;
    this.running = true; // until the network is ready
    this.id = this.valid = 0;
    /** @type {(message: Start | Picture, transfer?: Transferable[]) => void} */
    this.send = () => {};
  }

  /** Load the network in a worker or, where workers are not allowed, in the page. */
  start() {
    /** @type {Start} */
    const start = { kind: "start", network: data.network, known: data.known, weights: bytesOf("weights"),
      wasm: bytesOf("wasm") };
    const here = () => {
      const respond = responder((answer) => this.receive(answer));
      this.send = (message) => { setTimeout(() => respond(message)); }; // after the page has been drawn
      this.send(start);
    };
    try {
      const url = URL.createObjectURL(new Blob([selfContained("live/worker.js")], { type: "text/javascript" }));
      const worker = new Worker(url, { type: "module" });
      worker.onmessage = (event) => this.receive(event.data);
      worker.onerror = (event) => {
        event.preventDefault();
        worker.terminate();
        here();
      };
      this.send = (message, transfer = []) => worker.postMessage(message, transfer);
      this.send(start);
    } catch {
      here();
    }
  }

  /**
   * Request a pass. `take` returns the picture when its turn comes, or null if there is none any more.
   *
   * @param {() => Request | null} take
   */
  request(take) {
    this.waiting = take;
    if (!this.running) this.next();
  }

  /** Ignore the results of all passes so far, because another picture is shown. */
  forget() {
    this.valid = this.id + 1;
    this.waiting = null;
  }

  next() {
    const request = this.waiting?.();
    this.waiting = null;
    this.running = Boolean(request);
    this.listener.busy(this.running);
    if (request) this.send({ kind: "picture", id: ++this.id, ...request }, [request.rgba.buffer]);
  }

  /** @param {Answer} answer */
  receive(answer) {
    const current = !("id" in answer) || answer.id === undefined || answer.id >= this.valid;
    if (answer.kind === "stage" || answer.kind === "compared") {
      if (current && answer.kind === "stage") this.listener.stage(answer);
      if (current && answer.kind === "compared") this.listener.compared(answer);
      return;
    }
    // The next pass begins before the page shows this one. If the network could not be loaded, there is none.
    if (answer.kind !== "failed" || answer.id !== undefined) this.next();
    if (answer.kind === "ready") this.listener.ready();
    else if (answer.kind === "failed") this.listener.failed(answer.message);
    else if (current) this.listener.done(answer);
  }
}

/**
 * Return the text of a module in which data: URLs replace the names of the modules that it imports. Import maps do not
 * apply to workers.
 *
 * @param {string} name
 * @returns {string}
 */
function selfContained(name) {
  const element = document.querySelector(`script[data-module="${name}"]`);
  if (!element) throw new Error(`This page is damaged: the script ${name} is missing.`);
  return (element.textContent ?? "").replace(/^(import .* from )"(.*)";$/gm, (_, start, imported) =>
    `${start}"data:text/javascript;charset=utf-8,${encodeURIComponent(selfContained(imported))}";`);
}
