/**
 * Points and the FFHQ square of a face, as gan_core/faces/geometry.py.
 *
 * Coordinates are continuous pixels: the first pixel's centre is (0.5, 0.5). A point is [x, y].
 *
 * @typedef {object} Face
 * @property {number[][]} points Left eye, right eye, nose tip, left and right corner of the mouth, image-left first.
 * @property {number} score 0 to 1.
 */

/** What a person reads; its message is one plain sentence. */
export class Trouble extends Error {}

export const length = (v) => Math.hypot(v[0], v[1]);
const plus = (a, b, scale = 1) => [a[0] + scale * b[0], a[1] + scale * b[1]];
const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];

/** Mean of points. */
export function mean(points) {
  return points.reduce((sum, p) => plus(sum, p), [0, 0]).map((v) => v / points.length);
}

/** Distance of the two eyes, pixels. */
export const eyeDistance = (points) => length(plus(points[1], points[0], -1));

/** Largest movement of one of the points, in eye distances. */
export function movement(before, after) {
  const far = after.map((p, i) => length(plus(p, before[i], -1)));
  return Math.max(...far) / Math.max(eyeDistance(after), 1e-6);
}

/** Centre and half-side vector of the oriented FFHQ square (Karras et al. 2019, appendix A). Null where points coincide. */
export function ffhqFrame(points) {
  const [left, right] = points, mouth = middle(points[3], points[4]);
  const between = plus(right, left, -1), eyes = middle(left, right), down = plus(mouth, eyes, -1);
  const axis = [between[0] + down[1], between[1] - down[0]], size = length(axis);
  if (!(size >= 1e-6) || !Number.isFinite(size) || length(between) < 1e-6) return null;
  const half = Math.max(length(between) * 2.0, length(down) * 1.8);
  return { centre: plus(eyes, down, 0.1), x: [(axis[0] / size) * half, (axis[1] / size) * half] };
}

/** Corners of the square around `centre` with half-side vector x: top left, bottom left, bottom right, top right. */
export function cornersOf(centre, x) {
  const y = [-x[1], x[0]];
  return [[-1, -1], [-1, 1], [1, 1], [1, -1]].map(([a, b]) => plus(plus(centre, x, a), y, b));
}

/** The corners of a face's FFHQ square in the photo. */
export function ffhqQuad(face) {
  const { centre, x } = ffhqFrame(face.points);
  return cornersOf(centre, x);
}

/** Side of the face's FFHQ square, pixels. */
export const quadSide = (face) => 2 * length(ffhqFrame(face.points).x);

/** Corners of a square of pixels in the order of `ffhqQuad`. */
export const squareCorners = (size) => [[0, 0], [0, size], [size, size], [size, 0]];

/** Least-squares similarity (2x3) from points to points. */
export function similarityBetween(source, target) {
  const meanS = mean(source), meanT = mean(target);
  let norm = 0, a = 0, b = 0;
  source.forEach((p, i) => {
    const s = plus(p, meanS, -1), t = plus(target[i], meanT, -1);
    norm += s[0] ** 2 + s[1] ** 2;
    a += s[0] * t[0] + s[1] * t[1];
    b += s[0] * t[1] - s[1] * t[0];
  });
  norm = Math.max(norm, 1e-12);
  a /= norm;
  b /= norm;
  return [
    [a, -b, meanT[0] - a * meanS[0] + b * meanS[1]],
    [b, a, meanT[1] - b * meanS[0] - a * meanS[1]],
  ];
}

/** A point through a 2x3 affine map. */
export function applyAffine(map, [x, y]) {
  return [map[0][0] * x + map[0][1] * y + map[0][2], map[1][0] * x + map[1][1] * y + map[1][2]];
}

/** The map with its linear part divided by `scale` and its shift moved by `origin` first: into a reduced part. */
export function scaledMap(map, scale, origin = [0, 0]) {
  return map.map((row, i) => [row[0] / scale, row[1] / scale, (row[2] - origin[i]) / scale]);
}

/** The smallest box (x0, y0, x1, y1) of whole pixels around points. */
export function boundingBox(points) {
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  return [Math.floor(Math.min(...xs)), Math.floor(Math.min(...ys)), Math.ceil(Math.max(...xs)), Math.ceil(Math.max(...ys))];
}

/** The box of a face: brows to chin, cheek to cheek, as `face_from_five` lays it. */
export function faceBox(face) {
  const { centre, x } = ffhqFrame(face.points), half = length(x);
  const [cx, cy] = [centre[0] - x[1] * 0.12, centre[1] + x[0] * 0.12];
  return [cx - 0.56 * half, cy - 0.66 * half, cx + 0.56 * half, cy + 0.66 * half];
}
