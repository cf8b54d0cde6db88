/** Follows a face from frame to frame, steadies its points and fades its edit in and out (gan_core/faces/tracking.py). */

import { eyeDistance, mean } from "./geometry.js";

const GAP = 0.35;  // seconds for which a lost face may come back as the same one,
const GAP_FRAMES = 2;  // or frames, where they come slowly
const BACK = 2;  // seconds after which a face at the same place is another one
const FADE = 0.2;  // seconds in which an edit comes and goes with its face
const STILL = 0.035;  // movement, in eye distances, below which points are averaged
const KEPT = 0.75;  // share of the points before, of a still face
const LOOK_EVERY = 0.5;  // seconds between searches of the whole picture while there is no face
const COUNT_EVERY = 6;  // seconds between searches that only count the faces
const FINEST = 320;  // longer side, pixels, of what is searched: a face as large as a webcam shows

export class Track {
  /** @param {import("./finder.js").FaceFinder} finder */
  constructor(finder) {
    this.finder = finder;
    this.forget();
  }

  forget() {
    Object.assign(this, { points: null, seen: -Infinity, missed: 0, since: 0, looked: -Infinity, count: 0, fresh: true });
  }

  /**
   * The face of a frame: its points, the opacity of its edit, and whether it is a new one; null where there is none.
   * @param {import("./picture.js").Picture} photo
   * @param {number} time Seconds.
   * @returns {Promise<{points: number[][], opacity: number, fresh: boolean}|null>}
   */
  async feed(photo, time) {
    const known = this.points && (time - this.seen <= GAP || this.missed < GAP_FRAMES);
    let points = known ? await this.follow(photo) : null;
    if ((!points && time - this.looked >= (known ? 0 : LOOK_EVERY)) || time - this.looked >= COUNT_EVERY) {
      const faces = await this.finder.find(photo, FINEST);
      this.looked = time;
      this.count = faces.length;
      const again = known ? faces.find((face) => isSame(face.points, this.points)) : undefined;
      points ??= (again ?? faces[0])?.points ?? null;
    }
    this.missed = points ? 0 : this.missed + 1;
    if (!points) return null;
    const same = this.points && isSame(points, this.points), fresh = !same || (!known && time - this.seen > BACK);
    if (fresh || !known) this.since = time;
    this.points = known && same ? steadied(this.points, points) : points;
    this.seen = time;
    return { points: this.points, opacity: Math.min(1, (time - this.since) / FADE + 0.1), fresh };
  }

  async follow(photo) {
    const face = await this.finder.follow(photo, this.points);
    return face && isSame(face.points, this.points) ? face.points : null;
  }
}

/** Whether two sets of points can be the same face in neighbouring frames. */
function isSame(a, b) {
  const [p, q] = [mean(a), mean(b)];
  return Math.hypot(p[0] - q[0], p[1] - q[1]) < 1.2 * Math.max(eyeDistance(a), eyeDistance(b));
}

/** New points, averaged with those before as far as the face is still: no trembling, and no lag of a moving one. */
function steadied(before, points) {
  const [p, q] = [mean(before), mean(points)];
  const moved = Math.hypot(p[0] - q[0], p[1] - q[1]) / Math.max(eyeDistance(before), 1e-6);
  const kept = KEPT * Math.exp(-((moved / STILL) ** 2) / 2);
  return points.map(([x, y], i) => [x + kept * (before[i][0] - x), y + kept * (before[i][1] - y)]);
}
