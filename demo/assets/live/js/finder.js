/** The face finder, as gan_core/faces/finder.py: a locator over a pyramid, then a refiner on each face, twice. */

import {
  applyAffine, cornersOf, eyeDistance, ffhqFrame, length, mean, movement, scaledMap, similarityBetween, squareCorners,
} from "./geometry.js";
import { crop, reduce, resizeReduced, warpAffine } from "./picture.js";

const SETTLED = 0.05;  // movement, in eye distances, after which a followed face need not be looked at a second time
const LONGEST = 640, CANDIDATE = 0.15, ACCEPT = 0.6, MOST = 24;
const STRIDE = 8, SMALLEST = 160, REFINER_SIZE = 128, REFINER_ZOOM = 0.74, REFINER_DROP = 0.06;

/** @typedef {import("./picture.js").Picture} Picture @typedef {import("./geometry.js").Face} Face */

/** Reduced copies of a photo, each made when it is first needed. */
class Pyramid {
  constructor(photo, finest = LONGEST) {
    this.photo = photo;
    const longest = Math.max(photo.width, photo.height);
    this.scales = [];
    for (let side = Math.min(longest, finest); side >= 64 || !this.scales.length; side /= 2) {
      this.scales.push(side / longest);
    }
    this.pictures = [];
  }

  /** @returns {Picture} */
  level(index) {
    const { photo, pictures, scales } = this;
    while (pictures.length <= index) {
      const source = pictures.length ? pictures[pictures.length - 1] : photo, scale = scales[pictures.length];
      const width = Math.max(8, Math.round(photo.width * scale));
      const height = Math.max(8, Math.round(photo.height * scale));
      const same = width === source.width && height === source.height;
      pictures.push(same ? source : resizeReduced(source, width, height, "bilinear", 2.0));
    }
    return pictures[index];
  }
}

export class FaceFinder {
  /** @param {import("./models.js").Models} models With the graphs locate and refine. */
  constructor(models) {
    this.models = models;
  }

  /**
   * All faces of a photo, largest first.
   * @param {Picture} photo
   * @param {number} finest Longer side of the finest picture that is looked through; a smaller one misses small faces.
   * @returns {Promise<Face[]>}
   */
  async find(photo, finest = LONGEST) {
    if (Math.min(photo.width, photo.height) < 16) return [];
    const levels = new Pyramid(photo, finest), guesses = await this.locate(levels);
    const faces = guesses.length ? await this.refine(levels, guesses) : [];
    return faces.sort((a, b) => length(ffhqFrame(b.points).x) - length(ffhqFrame(a.points).x));
  }

  /** The face near five points of the frame before, or null. @returns {Promise<Face|null>} */
  async follow(photo, points) {
    return (await this.refine(new Pyramid(photo), [{ score: 1, points }], SETTLED))[0] ?? null;
  }

  /** Peaks of the centre map over all levels, best first. */
  async locate(levels) {
    const found = [];
    for (let index = 0; index < levels.scales.length; index++) {
      const { data, width, height } = framed(levels.level(index));
      const out = await this.models.run("locate", { image: [data, [1, 3, height, width]] });
      found.push(...peaks(out, width / STRIDE, height / STRIDE, levels.scales[index]));
    }
    return withoutDoubles(found.sort((a, b) => b.score - a.score)).slice(0, MOST);
  }

  /**
   * Landmarks on the upright crop of each guess, twice; then what still looks like a face. Guesses that the first turn
   * moves by less than `settled` eye distances have no second one.
   * @returns {Promise<Face[]>}
   */
  async refine(levels, guesses, settled = 0) {
    let candidates = guesses, scored = [];
    for (let turn = 0; turn < 2; turn++) {
      const usable = candidates.map((g) => ({ ...g, map: refinerSquare(g.points) })).filter((g) => g.map);
      if (!usable.length) return [];
      const size = 3 * REFINER_SIZE ** 2, crops = new Float32Array(usable.length * size);
      usable.forEach((guess, i) => crops.set(planar(cut(levels, guess.map)), i * size));
      const dims = [usable.length, 3, REFINER_SIZE, REFINER_SIZE];
      const { fives, face } = await this.models.run("refine", { crops: [crops, dims] });
      scored = usable
        .map((guess, i) => ({
          guess: guess.score, sure: face[i], before: guess.points, points: fivePoints(fives, i, guess.map),
        }))
        .filter((one) => one.sure > 0.1);
      if (scored.every(({ before, points }) => movement(before, points) < settled)) break;
      candidates = scored.map(({ guess, points }) => ({ score: guess, points }));
    }
    const faces = scored
      .map(({ guess, sure, points }) => ({ score: Math.sqrt(Math.min(guess * 1.5, 1) * sure), points }))
      .filter((face) => face.score >= ACCEPT && plausible(face.points));
    return withoutDoubles(faces.sort((a, b) => b.score - a.score));
  }
}

function fivePoints(fives, i, map) {
  return Array.from({ length: 5 }, (_, k) => applyAffine(map, [fives[10 * i + 2 * k], fives[10 * i + 2 * k + 1]]));
}

function peaks({ heat, log_size: logSize, points }, width, height, scale) {
  const found = [], cells = width * height;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x, score = heat[at];
      if (!(score > CANDIDATE) || !isPeak(heat, x, y, width, height)) continue;
      const side = 64 * 2 ** logSize[at], cell = [(x + 0.5) * STRIDE, (y + 0.5) * STRIDE];
      const five = Array.from({ length: 5 }, (_, k) =>
        [0, 1].map((axis) => (points[(2 * k + axis) * cells + at] * side + cell[axis]) / scale));
      found.push({ score, points: five });
    }
  }
  return found.sort((a, b) => b.score - a.score).slice(0, MOST);
}

function isPeak(heat, x, y, width, height) {
  for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
    for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
      if (heat[v * width + u] > heat[y * width + x]) return false;
    }
  }
  return true;
}

/** Colour planes in [-1, 1], three after each other. @param {Picture} rgb @returns {Float32Array} */
export function planar(rgb) {
  const pixels = rgb.width * rgb.height, result = new Float32Array(3 * pixels);
  for (let i = 0, j = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) result[c * pixels + i] = rgb.data[j++] / 127.5 - 1;
  }
  return result;
}

/** Planes padded with grey at the right and below, to multiples of the stride and at least to the size in training. */
function framed(rgb) {
  const width = Math.max(SMALLEST, Math.ceil(rgb.width / STRIDE) * STRIDE);
  const height = Math.max(SMALLEST, Math.ceil(rgb.height / STRIDE) * STRIDE);
  const planes = planar(rgb), data = new Float32Array(3 * width * height);
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < rgb.height; y++) {
      const row = (c * rgb.height + y) * rgb.width;
      data.set(planes.subarray(row, row + rgb.width), (c * height + y) * width);
    }
  }
  return { data, width, height };
}

/** 2x3 map from the refiner's input pixels to the photo, or null where the points make no sense. */
function refinerSquare(points) {
  const frame = ffhqFrame(points);
  if (!frame) return null;
  const { centre, x } = frame, drop = 2 * REFINER_DROP;
  const middle = [centre[0] - x[1] * drop, centre[1] + x[0] * drop];
  return similarityBetween(squareCorners(REFINER_SIZE), cornersOf(middle, x.map((v) => v * REFINER_ZOOM)));
}

/** The refiner's input, sampled from the coarsest picture that still has all the detail it can show. */
function cut(levels, map) {
  const ratio = Math.hypot(map[0][0], map[1][0]), size = REFINER_SIZE;  // photo pixels per input pixel
  let index = -1;
  levels.scales.forEach((scale, i) => { if (ratio * scale >= 0.9) index = i; });
  const scale = index < 0 ? 1 : levels.scales[index];
  const source = index < 0 ? levels.photo : levels.level(index);
  if (ratio * scale <= 2.2) return warpAffine(source, scaledMap(map, 1 / scale), size, size);
  const reach = map.map((row) => ((Math.abs(row[0]) + Math.abs(row[1])) * size) / 2);
  const centre = applyAffine(map, [size / 2, size / 2]), factor = Math.trunc(ratio * scale);
  const low = centre.map((v, i) => Math.floor(v - reach[i])), high = centre.map((v, i) => Math.ceil(v + reach[i]));
  const region = reduce(crop(levels.photo, low[0], low[1], high[0], high[1]), factor);
  return warpAffine(region, scaledMap(map, factor, low), size, size);
}

/** Whether nose and mouth lie below the eyes and within reasonable bounds. */
function plausible(points) {
  const [left, right, , mouthLeft, mouthRight] = points, eyes = [right[0] - left[0], right[1] - left[1]];
  const distance = eyeDistance(points);
  if (!points.flat().every(Number.isFinite) || distance < 3) return false;
  const mouth = mean([mouthLeft, mouthRight]), between = mean([left, right]);
  const down = [mouth[0] - between[0], mouth[1] - between[1]];
  const depth = (eyes[0] * down[1] - eyes[1] * down[0]) / distance ** 2;
  const wide = Math.hypot(mouthRight[0] - mouthLeft[0], mouthRight[1] - mouthLeft[1]);
  return depth > 0.35 && depth < 3.5 && wide < 2.5 * distance;
}

/** Non-maximum suppression: of guesses (best first) whose squares nearly coincide, keep the best. */
function withoutDoubles(guesses) {
  const kept = [], squares = [];
  for (const guess of guesses) {
    const frame = ffhqFrame(guess.points);
    if (!frame) continue;
    const { centre } = frame, half = length(frame.x);
    const apart = ([c, h]) => Math.hypot(centre[0] - c[0], centre[1] - c[1]) > 0.45 * Math.max(half, h);
    if (squares.every(apart)) {
      kept.push(guess);
      squares.push([centre, half]);
    }
  }
  return kept;
}
