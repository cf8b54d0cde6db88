/** Calls between a page and its workers: a name and arguments there, a value or an error back, and news in between. */

import { Trouble } from "./geometry.js";

/**
 * Answer calls that come through `port`. A function may return { value, transfer } to hand buffers over.
 * @param {Record<string, (...values: any[]) => any>} functions
 */
export function serve(port, functions) {
  port.onmessage = async ({ data: { id, name, values } }) => {
    try {
      const answer = (await functions[name](...values)) ?? {};
      port.postMessage({ id, value: answer.value }, answer.transfer ?? []);
    } catch (error) {
      if (!(error instanceof Trouble)) console.error(error);
      port.postMessage({ id, error: error.message, plain: error instanceof Trouble });
    }
  };
}

/** Tell the other side something it did not ask for. */
export function tell(port, news) {
  port.postMessage({ news });
}

/** The other side of `serve`. */
export class Caller {
  /** @param {Worker} worker @param {(news: any) => void} told */
  constructor(worker, told) {
    this.worker = worker;
    this.waiting = new Map();
    this.count = 0;
    worker.onmessage = ({ data: { id, value, error, plain, news } }) => {
      if (news) return told(news);
      const { resolve, reject } = this.waiting.get(id);
      this.waiting.delete(id);
      if (error === undefined) resolve(value);
      else reject(plain ? new Trouble(error) : new Error(error));
    };
    worker.onerror = (event) => {
      const error = new Error(event.message || "A part of this page could not be loaded. Please load it again.");
      this.waiting.forEach(({ reject }) => reject(error));
      this.waiting.clear();
    };
  }

  /** @returns {Promise<any>} */
  call(name, values = [], transfer = []) {
    return new Promise((resolve, reject) => {
      const id = this.count++;
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, name, values }, transfer);
    });
  }
}
