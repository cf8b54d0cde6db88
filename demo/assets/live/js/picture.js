/**
 * Pictures as plain arrays, and Pillow's ways of changing their size: the server's steps give the same values here.
 *
 * @typedef {object} Picture Interleaved channels, rows from the top.
 * @property {number} width
 * @property {number} height
 * @property {number} channels
 * @property {Uint8ClampedArray|Float32Array} data 8-bit values 0 to 255, or floats of any range.
 */

/** @returns {Picture} An empty picture; floats if `float`. */
export function picture(width, height, channels, float = false) {
  const size = width * height * channels;
  return { width, height, channels, data: float ? new Float32Array(size) : new Uint8ClampedArray(size) };
}

/** @returns {Picture} Red, green and blue of an ImageData, transparency laid on white. */
export function fromImageData(image) {
  const result = picture(image.width, image.height, 3);
  const from = image.data, to = result.data;
  for (let i = 0, j = 0; i < from.length; i += 4, j += 3) {
    const a = from[i + 3];
    if (a === 255) {
      to[j] = from[i];
      to[j + 1] = from[i + 1];
      to[j + 2] = from[i + 2];
    } else {
      for (let c = 0; c < 3; c++) to[j + c] = (from[i + c] * a + 255 * (255 - a)) / 255;
    }
  }
  return result;
}

/** @returns {ImageData} Of an 8-bit picture with three channels. */
export function toImageData(rgb) {
  const result = new ImageData(rgb.width, rgb.height);
  const from = rgb.data, to = result.data;
  for (let i = 0, j = 0; j < from.length; i += 4, j += 3) {
    to[i] = from[j];
    to[i + 1] = from[j + 1];
    to[i + 2] = from[j + 2];
    to[i + 3] = 255;
  }
  return result;
}

/** @returns {Picture} The part from (x0, y0) to before (x1, y1); black where that leaves the picture (Image.crop). */
export function crop(source, x0, y0, x1, y1) {
  const { width, height, channels, data } = source;
  const result = picture(x1 - x0, y1 - y0, channels, data instanceof Float32Array);
  const left = Math.max(x0, 0), right = Math.min(x1, width);
  for (let y = Math.max(y0, 0); y < Math.min(y1, height); y++) {
    if (right <= left) break;
    const row = data.subarray((y * width + left) * channels, (y * width + right) * channels);
    result.data.set(row, ((y - y0) * result.width + left - x0) * channels);
  }
  return result;
}

const FILTERS = {
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, at: (x) => cubic(Math.abs(x)) },
  lanczos: { support: 3, at: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function cubic(x) {
  if (x < 1) return ((1.5 * x - 2.5) * x) * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/** For each of `size` outputs the first input and its weights; `from` to `to` is the part of the input. */
function weightsOf(size, length, from, to, filter) {
  const scale = (to - from) / size, wide = Math.max(scale, 1), support = filter.support * wide;
  return Array.from({ length: size }, (_, i) => {
    const centre = from + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(length, Math.trunc(centre + support + 0.5));
    const weights = [];
    let sum = 0;
    for (let x = first; x < last; x++) {
      weights.push(filter.at((x - centre + 0.5) / wide));
      sum += weights[weights.length - 1];
    }
    return { first, weights: weights.map((w) => w / sum) };
  });
}

/**
 * Image.resize with antialiasing. `box` (x0, y0, x1, y1) is the part that is shown, in pixels.
 * @returns {Picture}
 */
export function resize(source, width, height, name, box = [0, 0, source.width, source.height]) {
  const filter = FILTERS[name], { channels } = source, float = source.data instanceof Float32Array;
  let from = source;
  if (width !== from.width || box[0] || box[2] !== from.width) {
    const columns = weightsOf(width, from.width, box[0], box[2], filter);
    const wide = picture(width, from.height, channels, float);
    for (let y = 0, at = 0; y < from.height; y++) {
      const row = y * from.width * channels;
      for (let x = 0; x < width; x++) {
        const { first, weights } = columns[x];
        for (let c = 0; c < channels; c++) {
          let sum = 0;
          for (let k = 0, i = row + first * channels + c; k < weights.length; k++, i += channels) {
            sum += weights[k] * from.data[i];
          }
          wide.data[at++] = sum;
        }
      }
    }
    from = wide;
  }
  if (height === from.height && !box[1] && box[3] === from.height) return from;
  const rows = weightsOf(height, from.height, box[1], box[3], filter);
  const result = picture(width, height, channels, float), stride = width * channels;
  const sums = new Float64Array(stride);
  for (let y = 0; y < height; y++) {
    const { first, weights } = rows[y];
    sums.fill(0);
    for (let k = 0; k < weights.length; k++) {
      const weight = weights[k], row = (first + k) * stride;
      for (let i = 0; i < stride; i++) sums[i] += weight * from.data[row + i];
    }
    result.data.set(sums, y * stride);
  }
  return result;
}

/** Image.resize with `reducing_gap`: large reductions first take means of whole blocks. @returns {Picture} */
export function resizeReduced(source, width, height, name, gap) {
  const across = Math.max(1, Math.trunc(source.width / width / gap));
  const down = Math.max(1, Math.trunc(source.height / height / gap));
  if (across === 1 && down === 1) return resize(source, width, height, name);
  const box = [0, 0, source.width / across, source.height / down];
  return resize(reduce(source, across, down), width, height, name, box);
}

/** Image.reduce: means of blocks, the last ones of what is left. @returns {Picture} */
export function reduce(source, across, down = across) {
  const { width, height, channels, data } = source;
  const result = picture(Math.ceil(width / across), Math.ceil(height / down), channels, data instanceof Float32Array);
  for (let y = 0, at = 0; y < result.height; y++) {
    const y1 = Math.min(height, (y + 1) * down);
    for (let x = 0; x < result.width; x++) {
      const x1 = Math.min(width, (x + 1) * across), count = (y1 - y * down) * (x1 - x * across);
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let v = y * down; v < y1; v++) {
          for (let u = x * across; u < x1; u++) sum += data[(v * width + u) * channels + c];
        }
        result.data[at++] = sum / count;
      }
    }
  }
  return result;
}

/**
 * Image.transform with an affine map, bicubic: the point p of the result shows the point `map` of p of the source.
 * @param {number[][]} map 2x3.
 * @returns {Picture} Points outside the source are 0.
 */
export function warpAffine(source, map, width, height) {
  const { channels, data } = source, float = data instanceof Float32Array;
  const result = picture(width, height, channels, float);
  const [[a, b, c], [d, e, f]] = map;
  const across = source.width - 1, down = source.height - 1;
  const column = new Int32Array(4), row = new Int32Array(4), alongX = new Float64Array(4), alongY = new Float64Array(4);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += channels) {
      const px = a * (x + 0.5) + b * (y + 0.5) + c, py = d * (x + 0.5) + e * (y + 0.5) + f;
      if (px < 0 || py < 0 || px >= source.width || py >= source.height) continue;
      const left = Math.floor(px - 0.5), top = Math.floor(py - 0.5);
      cubicWeights(px - 0.5 - left, alongX);
      cubicWeights(py - 0.5 - top, alongY);
      for (let k = 0; k < 4; k++) {
        column[k] = Math.min(Math.max(left - 1 + k, 0), across) * channels;
        row[k] = Math.min(Math.max(top - 1 + k, 0), down) * source.width * channels;
      }
      for (let n = 0; n < channels; n++) {
        let value = 0;
        for (let k = 0; k < 4; k++) {
          const i = row[k] + n;
          value += alongY[k] * (alongX[0] * data[i + column[0]] + alongX[1] * data[i + column[1]]
            + alongX[2] * data[i + column[2]] + alongX[3] * data[i + column[3]]);
        }
        result.data[at + n] = float ? value : Math.floor(value + 1e-9);  // Pillow cuts off here
      }
    }
  }
  return result;
}

/** Weights of four neighbours at a distance d, 0 to 1, from the second one: Pillow's cubic. */
function cubicWeights(d, weights) {
  const square = d * d, cube = square * d;
  weights[0] = 2 * square - d - cube;
  weights[1] = 1 - 2 * square + cube;
  weights[2] = d + square - cube;
  weights[3] = cube - square;
}
