/** Smooths latents over time: the codes of a still face tremble from frame to frame, and its picture would flicker. */

const STEADY = 0.4;  // seconds in which codes come near to new ones
const OTHER = 0.6;  // relative distance of codes from which on it is another face, or another view of it

export class LatentSmoother {
  constructor() {
    this.forget();
  }

  /** Begin anew with the next codes. */
  forget() {
    this.codes = null;
    this.time = 0;
  }

  /** Codes between the ones before and these. @param {Float32Array} codes @param {number} time Seconds. */
  smoothed(codes, time) {
    const before = this.codes;
    const share = before && distance(before, codes) < OTHER ? 1 - Math.exp(-(time - this.time) / STEADY) : 1;
    this.codes = before ? codes.map((value, i) => before[i] + share * (value - before[i])) : codes;
    this.time = time;
    return this.codes;
  }
}

/** Root mean square of the difference. */
function distance(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum / a.length);
}
