/**
 * The reference that is subtracted from an edited crop when it is pasted back, as gan_core/faces/reference.py: detail
 * that the reconstruction lost stays in the photo, moves with what the edit moves, and goes where something new appears.
 */

import { gaussianFilter } from "./gaussian.js";
import { picture } from "./picture.js";
import { smoothstep } from "./paste.js";

const SMOOTH = 0.03, REACH = 0.015, NEW = [0.03, 0.08], STILL = [0.004, 0.012];

/**
 * @param {import("./models.js").Models} models With the graph moved_along.
 * @param {import("./picture.js").Picture} crop As it was cut out.
 * @param {import("./picture.js").Picture} unchanged Its reconstruction with nothing edited.
 * @param {import("./picture.js").Picture} edited The same, edited.
 * @returns {Promise<import("./picture.js").Picture>}
 */
export async function referenceFor(models, crop, unchanged, edited) {
  const size = crop.width, count = crop.data.length;
  const lost = new Float32Array(count), difference = new Float32Array(count);
  let any = false;
  for (let i = 0; i < count; i++) {
    lost[i] = crop.data[i] - unchanged.data[i];
    difference[i] = edited.data[i] - unchanged.data[i];
    any ||= difference[i] !== 0;
  }
  if (!any) return unchanged;
  const { came, taken } = await movedAlong(models, edited, unchanged, lost, size);
  const unexplained = Float32Array.from(edited.data, (value, i) => value - came[i]);
  const fresh = localSize(withoutTone(unexplained, size), size, REACH);
  const touched = localSize(difference, size, REACH / 2);
  const result = picture(size, size, 3);
  for (let i = 0, j = 0; i < size * size; i++) {
    const stays = 1 - smoothstep(fresh[i], ...NEW), share = smoothstep(touched[i], ...STILL);
    for (let c = 0; c < 3; c++, j++) result.data[j] = crop.data[j] - (lost[j] + share * (stays * taken[j] - lost[j]));
  }
  return result;
}

function withoutTone(values, size) {
  const tone = gaussianFilter(values, size, size, 3, SMOOTH * size);
  return values.map((value, i) => value - tone[i]);
}

/** Local root mean square over channels, 0 to 1. */
function localSize(values, size, reach) {
  const energy = new Float32Array(size * size);
  for (let i = 0; i < values.length; i++) energy[Math.floor(i / 3)] += (values[i] * values[i]) / 3;
  return gaussianFilter(energy, size, size, 1, reach * size).map((value) => Math.sqrt(Math.max(value, 0)) / 255);
}

/** The reconstruction and what it lost, moved to where their parts are in the edited picture. */
async function movedAlong(models, edited, unchanged, lost, size) {
  const pixels = size * size, both = new Float32Array(6 * pixels);
  planes(unchanged.data, both, 0, pixels);
  planes(lost, both, 3, pixels);
  const toneless = (rgb) => planes(withoutTone(Float32Array.from(rgb.data), size), new Float32Array(3 * pixels), 0, pixels);
  const dims = [1, 3, size, size];
  const { moved } = await models.run("moved_along", {
    changed: [toneless(edited), dims],
    plain: [toneless(unchanged), dims],
    both: [both, [1, 6, size, size]],
  });
  return { came: interleaved(moved, 0, pixels), taken: interleaved(moved, 3, pixels) };
}

function planes(values, target, first, pixels) {
  for (let i = 0, j = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) target[(first + c) * pixels + i] = values[j++] / 127.5;
  }
  return target;
}

function interleaved(data, first, pixels) {
  const result = new Float32Array(3 * pixels);
  for (let i = 0, j = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) result[j++] = data[(first + c) * pixels + i] * 127.5;
  }
  return result;
}
