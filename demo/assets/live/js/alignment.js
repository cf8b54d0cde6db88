/** FFHQ alignment, as gan_core/faces/alignment.py: cut the oriented square around a face out of a photo. */

import { gaussianFilter } from "./gaussian.js";
import { Trouble, boundingBox, ffhqQuad, length, scaledMap, similarityBetween, squareCorners } from "./geometry.js";
import { crop, picture, reduce, resize, warpAffine } from "./picture.js";

/** In a smaller square the eyes are less than 10 pixels apart, which is too little to be edited. */
export const SMALLEST_QUAD = 40;
export const TOO_SMALL = "The face is too small in this picture: use one where it is at least 40 pixels wide.";

/**
 * @typedef {object} AlignedFace
 * @property {import("./picture.js").Picture} crop size x size RGB.
 * @property {number[][]} quad Corners in the photo: top left, bottom left, bottom right, top right.
 * @property {number[][]} toCrop 2x3 similarity from photo pixels to crop pixels.
 * @property {number} side Of the square, photo pixels.
 */

/** The face's FFHQ square, without its picture. Throws Trouble where it is too small. */
export function squareOf(face, size = 256) {
  const quad = ffhqQuad(face), side = length([quad[3][0] - quad[0][0], quad[3][1] - quad[0][1]]);
  if (side < SMALLEST_QUAD) throw new Trouble(TOO_SMALL);
  return { quad, toCrop: similarityBetween(quad, squareCorners(size)), side };
}

/** Cut out the face's FFHQ square, upright. Throws Trouble where it is too small or outside. @returns {AlignedFace} */
export function align(photo, face, size = 256) {
  const { quad, toCrop, side } = squareOf(face, size);
  const toPhoto = similarityBetween(squareCorners(size), quad);
  const shrink = Math.max(1, Math.trunc(side / size / 3));
  const { pixels, origin } = cutOut(photo, quad, 4 + 4 * shrink, side);
  const region = shrink > 1 ? reduce(pixels, shrink) : pixels;
  const scale = side / shrink / size;
  const over = scale < 0.75 ? 1 : Math.min(4, Math.ceil(scale) + 1);
  const toRegion = scaledMap(toPhoto, shrink, origin).map(([a, b, c]) => [a / over, b / over, c]);
  const large = warpAffine(region, toRegion, size * over, size * over);
  return { crop: over > 1 ? resize(large, size, size, "lanczos") : large, quad, toCrop, side };
}

/** Pixels of the quad's bounding box with a margin, reflected outside the photo, and the box's top left corner. */
function cutOut(photo, quad, margin, side) {
  const [x0, y0, x1, y1] = boundingBox(quad);
  const [left, top, right, bottom] = [x0 - margin, y0 - margin, x1 + margin, y1 + margin];
  const inside = [Math.max(left, 0), Math.max(top, 0), Math.min(right, photo.width), Math.min(bottom, photo.height)];
  if (inside[2] - inside[0] < 2 || inside[3] - inside[1] < 2) throw new Trouble("The face lies outside the photo.");
  const pad = { top: inside[1] - top, bottom: bottom - inside[3], left: inside[0] - left, right: right - inside[2] };
  const pixels = reflected(crop(photo, ...inside), pad);
  const far = Math.max(pad.top, pad.bottom, pad.left, pad.right) > margin;  // more than the margin leaves the photo
  return { pixels: far ? blurPadding(pixels, pad, side) : pixels, origin: [left, top] };
}

/** numpy.pad(mode="reflect"): the edge pixel is not doubled. */
function reflected(source, pad) {
  const { width, height } = source;
  if (!(pad.top || pad.bottom || pad.left || pad.right)) return source;
  const result = picture(width + pad.left + pad.right, height + pad.top + pad.bottom, 3);
  const mirror = (i, n) => {
    const period = Math.max(2 * (n - 1), 1), at = ((i % period) + period) % period;
    return at < n ? at : period - at;
  };
  const columns = Int32Array.from({ length: result.width }, (_, x) => 3 * mirror(x - pad.left, width));
  for (let y = 0, at = 0; y < result.height; y++) {
    const row = 3 * width * mirror(y - pad.top, height);
    for (let x = 0; x < result.width; x++) {
      for (let c = 0; c < 3; c++) result.data[at++] = source.data[row + columns[x] + c];
    }
  }
  return result;
}

/** Blur the reflected border, more with the distance from the photo, and fade it to the median colour. */
function blurPadding(source, pad, side) {
  const { width, height, data } = source, sigma = side * 0.02, step = Math.max(1, Math.trunc(sigma / 3));
  const small = everyNth(source, step);
  const soft = { ...small, data: gaussianFilter(small.data, small.width, small.height, 3, sigma / step) };
  const blurred = resize(soft, width, height, "bilinear").data;
  const depth = (position, before, after, size) =>
    Math.min(Math.max(Math.max(before - position, position - (size - 1 - after)) / Math.max(before, after, 1), 0), 1);
  const values = new Float32Array(data.length);
  const outside = new Float32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    const down = depth(y, pad.top, pad.bottom, height);
    for (let x = 0; x < width; x++, i++) {
      outside[i] = Math.max(down, depth(x, pad.left, pad.right, width));
      const share = Math.min(outside[i] * 3, 1);
      for (let c = 0; c < 3; c++) {
        const value = data[3 * i + c];
        values[3 * i + c] = value + (blurred[3 * i + c] - value) * share;
      }
    }
  }
  const medians = medianColour(everyNth({ ...source, data: values }, step));
  const result = picture(width, height, 3);
  for (let i = 0; i < outside.length; i++) {
    const share = Math.min(Math.max(outside[i] - 0.5, 0), 1);
    for (let c = 0; c < 3; c++) {
      const value = values[3 * i + c];
      result.data[3 * i + c] = value + (medians[c] - value) * share;
    }
  }
  return result;
}

/** Every step-th pixel of every step-th row, as floats. */
function everyNth(source, step) {
  const result = picture(Math.ceil(source.width / step), Math.ceil(source.height / step), 3, true);
  for (let y = 0, at = 0; y < source.height; y += step) {
    for (let x = 0; x < source.width; x += step) {
      for (let c = 0; c < 3; c++) result.data[at++] = source.data[3 * (y * source.width + x) + c];
    }
  }
  return result;
}

function medianColour({ data }) {
  return [0, 1, 2].map((c) => {
    const values = data.filter((_, i) => i % 3 === c).sort(), half = values.length >> 1;
    return values.length % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
  });
}
