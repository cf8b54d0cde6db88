/** scipy.ndimage.gaussian_filter over height and width of pictures of floats. */

const kernels = new Map();

/** Weights from the middle outwards, cut off at four standard deviations. */
function kernel(sigma) {
  if (!kernels.has(sigma)) {
    const radius = Math.trunc(4 * sigma + 0.5);
    const weights = Float64Array.from({ length: radius + 1 }, (_, i) => Math.exp(-0.5 * (i / sigma) ** 2));
    const sum = 2 * weights.reduce((a, b) => a + b) - weights[0];
    kernels.set(sigma, weights.map((w) => w / sum));
  }
  return kernels.get(sigma);
}

/** Positions of -radius to length + radius - 1 in a row that is mirrored, or whose ends are repeated. */
function places(length, radius, mode) {
  return Int32Array.from({ length: length + 2 * radius }, (_, i) => {
    const at = i - radius;
    if (mode === "nearest") return Math.min(Math.max(at, 0), length - 1);
    const around = ((at % (2 * length)) + 2 * length) % (2 * length);
    return around < length ? around : 2 * length - 1 - around;
  });
}

/**
 * @param {Float32Array} data height x width x channels.
 * @param {"reflect"|"nearest"} mode Of what lies outside: mirrored with the edge pixel doubled, or the edge pixel.
 * @returns {Float32Array}
 */
export function gaussianFilter(data, width, height, channels, sigma, mode = "reflect") {
  const weights = kernel(sigma), radius = weights.length - 1, stride = width * channels;
  const tall = new Float32Array(data.length), rows = places(height, radius, mode);
  const sums = new Float64Array(stride);
  for (let y = 0; y < height; y++) {
    const centre = y * stride;
    for (let i = 0; i < stride; i++) sums[i] = weights[0] * data[centre + i];
    for (let k = 1; k <= radius; k++) {
      const above = rows[y + radius - k] * stride, below = rows[y + radius + k] * stride, weight = weights[k];
      for (let i = 0; i < stride; i++) sums[i] += weight * (data[above + i] + data[below + i]);
    }
    tall.set(sums, centre);
  }
  const result = new Float32Array(data.length), columns = places(width, radius, mode).map((x) => x * channels);
  const line = new Float64Array(columns.length * channels);
  for (let y = 0; y < height; y++) {
    const row = y * stride;
    for (let i = 0, at = 0; i < columns.length; i++) {
      for (let c = 0; c < channels; c++) line[at++] = tall[row + columns[i] + c];
    }
    const middle = radius * channels;
    for (let i = 0; i < stride; i++) sums[i] = weights[0] * line[middle + i];
    for (let k = 1; k <= radius; k++) {
      const before = middle - k * channels, after = middle + k * channels, weight = weights[k];
      for (let i = 0; i < stride; i++) sums[i] += weight * (line[before + i] + line[after + i]);
    }
    result.set(sums, row);
  }
  return result;
}
