/** Counts frames and says how fast they come; the numbers are also in the place's data attributes. */

const OVER = 10;  // seconds that rates are taken over

export class Meter {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    this.setup = "";
    this.restart();
  }

  /** What was loaded: bytes of weights and graphs, seconds, the device and its threads. */
  loaded({ bytes, seconds, device, threads }) {
    const what = device === "webgpu" ? "WebGPU" : `WebAssembly, ${threads === 1 ? "one thread" : `${threads} threads`}`;
    this.setup = `${what}; ${(bytes / 1e6).toFixed(0)} MB loaded in ${seconds.toFixed(1)} s`;
    Object.assign(this.place.dataset, { device, threads, bytes, seconds: seconds.toFixed(2) });
    this.place.textContent = `${this.setup}.`;
  }

  restart() {
    this.began = performance.now();
    this.frames = [];
    this.first = null;
  }

  /** A frame was shown. @param {{edited: boolean, inversions: number}} answer */
  frame({ edited, inversions }) {
    const now = performance.now() / 1000;
    if (edited) this.first ??= now - this.began / 1000;
    this.frames.push({ now, edited, inversions });
    while (now - this.frames[0].now > OVER) this.frames.shift();
    const span = now - this.frames[0].now;
    if (span < 1) return;
    const rate = (this.frames.length - 1) / span;
    const faces = (inversions - this.frames[0].inversions) / span;
    Object.assign(this.place.dataset, {
      rate: rate.toFixed(2), inversions: faces.toFixed(2), first: this.first?.toFixed(2) ?? "",
      edited: this.frames.filter((frame) => frame.edited).length / this.frames.length,
    });
    this.place.textContent =
      `${rate.toFixed(1)} frames a second, the face read anew ${faces.toFixed(1)} times a second. ${this.setup}.`;
  }

  /** A photo's edit was shown. */
  edited() {
    this.place.dataset.edits = Number(this.place.dataset.edits ?? 0) + 1;
  }
}
