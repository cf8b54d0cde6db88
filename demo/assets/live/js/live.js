/**
 * Edits the frames of a camera. The face is followed in every frame, and the change is pasted where it is; the change
 * itself is computed beside that, in the other worker: anew when the face or a slider moved, or after some frames.
 */

import { align, squareOf } from "./alignment.js";
import { Trouble, movement } from "./geometry.js";
import { pasteBack } from "./paste.js";
import { Track } from "./track.js";

const EVERY = 12;  // frames after which a face that kept still is inverted again
const MOVED = 0.04;  // movement of a point, in eye distances, that counts as such
const FOLLOW = 0.15;  // seconds in which the shown change comes near to a new one

export class LiveEditor {
  /** @param {import("./finder.js").FaceFinder} finder @param {import("./calls.js").Caller} faces */
  constructor(finder, faces) {
    this.faces = faces;
    this.track = new Track(finder);
    this.forget();
  }

  /** Begin anew: another camera, or after a pause. */
  forget() {
    this.track.forget();
    Object.assign(this, {
      target: null, shown: null, inverted: null, waited: 0, inversions: 0, edited: "", time: 0, trouble: null,
    });
    this.turn = (this.turn ?? 0) + 1;  // what is still being computed belongs to before
    this.faces.call("forget");
  }

  /**
   * @param {import("./picture.js").Picture} photo
   * @param {number} time Seconds.
   * @param {Record<string, number>} strengths By attribute.
   * @returns {Promise<{patch: object|null, faces: number, inversions: number, edited: boolean, trouble: string|null}>}
   */
  async frame(photo, time, strengths) {
    const before = this.time;
    this.time = time;
    const face = await this.track.feed(photo, time);
    if (this.trouble) throw this.trouble;
    let patch = null, trouble = null;
    if (face) {
      try {
        if (face.fresh) this.restartFace();
        this.waited++;
        if (!this.busy && this.isDue(face.points, strengths)) this.refresh(photo, face.points, strengths);
        this.shown = between(this.shown, this.target, 1 - Math.exp(-(time - before) / FOLLOW));
        if (this.shown) patch = pasteBack(photo, squareOf(face), this.shown, face.opacity);
      } catch (error) {
        if (!(error instanceof Trouble)) throw error;
        trouble = error.message;  // too small or cut off in this frame: it stays unchanged
      }
    }
    const count = face ? Math.max(1, this.track.count) : 0;
    return { patch, faces: count, inversions: this.inversions, edited: patch !== null, trouble };
  }

  restartFace() {
    Object.assign(this, { target: null, shown: null, inverted: null });
    this.turn++;
    this.faces.call("forget");
  }

  isDue(points, strengths) {
    return !this.inverted || this.edited !== JSON.stringify(strengths) || this.waited >= EVERY
      || movement(this.inverted, points) > MOVED;
  }

  /** Invert the face if it moved, and edit it; the result is shown from the frame on in which it is there. */
  async refresh(photo, points, strengths) {
    const crop = align(photo, { points }).crop, { turn, time } = this, key = JSON.stringify(strengths);
    const again = !this.inverted || this.waited >= EVERY || movement(this.inverted, points) > MOVED;
    this.busy = true;
    try {
      if (again) {
        this.inverted = points;
        this.waited = 0;
        await this.faces.call("invertNext", [crop, time]);
        this.inversions++;
      }
      const { change } = await this.faces.call("edit", [strengths]);
      if (turn !== this.turn) return;
      this.edited = key;
      this.target = change;
    } catch (error) {
      this.trouble = error;
    } finally {
      this.busy = false;
    }
  }
}

/** A change between the shown one and the one to come, where both are there. */
function between(shown, target, share) {
  if (!shown || !target) return target;
  const data = new Float32Array(shown.data.length), from = shown.data, to = target.data;
  for (let i = 0; i < data.length; i++) data[i] = from[i] + share * (to[i] - from[i]);
  return { ...shown, data };
}
