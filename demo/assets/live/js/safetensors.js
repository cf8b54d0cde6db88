/** Reads this project's weights files: half-precision tensors, and the config beside them. */

/** @param {Uint8Array} bytes @returns {{tensors: Record<string, Float32Array>, config: object}} */
export function readSafetensors(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)));
  const { __metadata__: metadata, ...entries } = header;
  const tensors = {};
  for (const [name, { dtype, data_offsets: [begin, end] }] of Object.entries(entries)) {
    if (dtype !== "F16") throw new Error(`${name} is stored as ${dtype}, not as F16.`);
    tensors[name] = Float32Array.from({ length: (end - begin) / 2 }, (_, i) =>
      fromHalf(view.getUint16(8 + size + begin + 2 * i, true)));
  }
  return { tensors, config: JSON.parse(metadata?.config ?? "{}") };
}

function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 0x1f, fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
