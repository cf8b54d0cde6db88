/**
 * Put an edited crop back into the whole photo without a seam, as gan_core/faces/paste.py: only the difference between
 * the edited crop and a reference is enlarged and added to the photo, in two bands.
 */

import { gaussianFilter } from "./gaussian.js";
import { applyAffine, boundingBox } from "./geometry.js";
import { crop, picture, reduce, warpAffine } from "./picture.js";

const WIDE = 0.16, NARROW = 0.05, SMOOTH = 0.03, CHANGED = [0.05, 0.16];

/** 0 below low, 1 above high, a smooth cubic between. */
export function smoothstep(value, low, high) {
  const t = Math.min(Math.max((value - low) / (high - low), 0), 1);
  return t * t * (3 - 2 * t);
}

const feathers = new Map();

/** size x size mask with rounded corners: 0 in the outermost pixels, 1 further inside than border x size. */
function feather(size, border) {
  const key = `${size} ${border}`;
  if (!feathers.has(key)) {
    const mask = new Float32Array(size * size);
    const near = (i) => 1 - Math.min(Math.max((Math.min(i, size - 1 - i) - 1.5) / (border * size), 0), 1);
    for (let i = 0; i < mask.length; i++) {
      mask[i] = smoothstep(1 - Math.hypot(near(Math.floor(i / size)), near(i % size)), 0, 1);
    }
    feathers.set(key, mask);
  }
  return feathers.get(key);
}

/**
 * The change that is pasted: the two-band faded difference in three channels, and in a fourth how much fine detail of the
 * photo is dropped (0 to 1). Null where nothing changes.
 * @returns {import("./picture.js").Picture|null}
 */
export function fadedDifference(edited, reference) {
  const size = edited.width, pixels = size * size;
  const difference = new Float32Array(3 * pixels), energy = new Float32Array(pixels);
  let any = false;
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) {
      const value = edited.data[3 * i + c] - reference.data[3 * i + c];
      difference[3 * i + c] = value;
      energy[i] += (value * value) / 3;
      any ||= value !== 0;
    }
  }
  if (!any) return null;
  const smooth = gaussianFilter(difference, size, size, 3, SMOOTH * size, "nearest");
  const changed = gaussianFilter(energy, size, size, 1, 0.012 * size);
  const wide = feather(size, WIDE), narrow = feather(size, NARROW), result = picture(size, size, 4, true);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) {
      const low = smooth[3 * i + c];
      result.data[4 * i + c] = low * wide[i] + (difference[3 * i + c] - low) * narrow[i];
    }
    result.data[4 * i + 3] = smoothstep(Math.sqrt(changed[i]) / 255, ...CHANGED) * narrow[i];
  }
  return result;
}

/**
 * The part of the photo that changes, and where it goes.
 * @param {import("./picture.js").Picture} photo
 * @param {import("./alignment.js").AlignedFace} aligned
 * @param {import("./picture.js").Picture} change Of `fadedDifference`.
 * @param {number} opacity 1 for all of it.
 * @returns {{x: number, y: number, picture: import("./picture.js").Picture}}
 */
export function pasteBack(photo, aligned, change, opacity = 1) {
  const box = boundingBox(aligned.quad), size = change.width;
  const [x0, y0] = [Math.max(box[0], 0), Math.max(box[1], 0)];
  const [x1, y1] = [Math.min(box[2], photo.width), Math.min(box[3], photo.height)];
  const shrink = Math.max(1, Math.trunc(size / aligned.side + 0.25));  // a large crop pasted small would alias
  const planes = shrink > 1 ? reduce(change, shrink) : change;
  const toPlanes = aligned.toCrop.map((row) => row.map((v) => v / shrink));
  const shift = applyAffine(toPlanes, [x0, y0]);
  const map = toPlanes.map(([a, b], i) => [a, b, shift[i]]);
  const [width, height] = [x1 - x0, y1 - y0];
  const delta = warpAffine(planes, map, width, height).data, region = crop(photo, x0, y0, x1, y1);
  const finer = aligned.side / size;
  const detail = finer > 1.15 ? fineDetail(region, finer) : null;
  const pixels = region.data;
  for (let i = 0, j = 0, k = 0; i < width * height; i++, j += 3, k += 4) {
    const dropped = detail ? Math.min(Math.max(delta[k + 3], 0), 1) : 0;
    for (let c = 0; c < 3; c++) {
      const lost = dropped ? dropped * detail[j + c] : 0;
      pixels[j + c] += (delta[k + c] - lost) * opacity;  // rounded and limited as it is stored
    }
  }
  return { x: x0, y: y0, picture: region };
}

/** The detail of the photo that is lost in a crop `scale` times coarser. */
function fineDetail(region, scale) {
  const values = Float32Array.from(region.data);
  const smooth = gaussianFilter(values, region.width, region.height, 3, 0.5 * scale, "nearest");
  for (let i = 0; i < values.length; i++) values[i] -= smooth[i];
  return values;
}
