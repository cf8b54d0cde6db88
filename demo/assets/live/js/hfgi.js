/** HFGI's pipeline, as gan_core/hfgi/pipeline.py: invert a face once, then draw it again for every slider value. */

import { planar } from "./finder.js";
import { picture } from "./picture.js";

const SIDE = 256, STYLES = 14, WIDTH = 256, CROP = [1, 3, SIDE, SIDE], HEADS = [1, 2, SIDE, SIDE];
const CODES = [1, STYLES, WIDTH], FEATURES = [1, 128, 64, 64], COLOUR = [1, 3, 32, 32];
const PARTS = ["mouth", "eyes", "lower_face"];  // of the face
const REGIONS = [...PARTS, "face", "face_and_hair", "around_face", "head", "crop"];  // from narrow to wide

/** The graphs that `HFGIPipeline` runs. */
export const GRAPHS = ["encode", "decode", "consult", ...REGIONS.slice(0, -1).map((name) => `put_in_place_${name}`)];

/**
 * @typedef {object} Attribute What a slider changes: name, label, low, high, note, and the region that may change.
 * @typedef {object} Inversion
 * @property {Float32Array} codes 14 x 256.
 * @property {Float32Array} distortion Face minus plain inversion, colour planes.
 * @property {Float32Array} restored The inversion with consultation, colour planes in [-1, 1].
 * @property {Float32Array} heads Planes: how much of each pixel is head, and person.
 */

export class HFGIPipeline {
  /**
   * @param {import("./models.js").Models} models With `GRAPHS`.
   * @param {{tensors: Record<string, Float32Array>, config: {attributes: Attribute[]}}} directions
   */
  constructor(models, directions) {
    this.models = models;
    this.directions = directions.tensors;
    this.attributes = Object.fromEntries(directions.config.attributes.map((one) => [one.name, one]));
  }

  /** Codes of a face (colour planes in [-1, 1]). @returns {Promise<Float32Array>} */
  async encode(face) {
    return (await this.models.run("encode", { face: [face, CROP] })).codes;
  }

  /** The inversion of an aligned face. @param {import("./picture.js").Picture} crop @returns {Promise<Inversion>} */
  async invert(crop) {
    const face = planar(crop);
    return this.inversionOf(face, await this.encode(face));
  }

  /** The inversion of a face by these codes. @returns {Promise<Inversion>} */
  async inversionOf(face, codes) {
    const drawn = await this.decode(codes);
    const distortion = face.map((value, i) => value - drawn.plain[i]);
    const { image: restored, heads } = await this.consult(distortion, drawn, codes);
    return { codes, distortion, restored, heads };
  }

  /** The edited face, colour planes in [-1, 1]. @param {Record<string, number>} strengths By attribute. */
  async edit(inversion, strengths) {
    const used = Object.entries(strengths).filter(([, strength]) => strength);
    if (!used.length) return inversion.restored;
    const codes = inversion.codes.slice();
    for (const [name, strength] of used) {
      this.directions[name].forEach((value, i) => { codes[i] += strength * value; });
    }
    const drawn = await this.decode(codes);
    const edited = await this.consult(inversion.distortion, drawn, codes);
    const region = widest(used.map(([name]) => this.attributes[name].region));
    return this.putInPlace(region, inversion, edited, drawn.plain);
  }

  /** The plain picture of codes, and what consultation goes on from: the features before it, and the colour so far. */
  decode(codes) {
    return this.models.run("decode", { codes: [codes, CODES] });
  }

  /** The picture of codes with the distortion map aligned to the plain one and consulted, and its heads. */
  consult(distortion, { plain, features, colour }, codes) {
    return this.models.run("consult", {
      distortion: [distortion, CROP], plain: [plain, CROP], codes: [codes, CODES],
      features: [features, FEATURES], colour: [colour, COLOUR],
    });
  }

  /** The unedited picture with the edit applied inside a region. */
  async putInPlace(region, inversion, edited, plain) {
    if (region === "crop") return edited.image;
    const inputs = { unedited: [inversion.restored, CROP], edited: [edited.image, CROP] };
    if (region !== "face") {
      Object.assign(inputs, { old_heads: [inversion.heads, HEADS], new_heads: [edited.heads, HEADS] });
    }
    if (region === "around_face" || region === "head") inputs.plain = [plain, CROP];
    return (await this.models.run(`put_in_place_${region}`, inputs)).picture;
  }
}

/** The region in which edits of these regions apply together (gan_core.hfgi.regions). */
function widest(regions) {
  if (new Set(regions).size > 1 && regions.includes("eyes") && regions.every((one) => PARTS.includes(one))) {
    return "face";
  }
  return REGIONS[Math.max(...regions.map((one) => REGIONS.indexOf(one)))];
}

/** An 8-bit picture of colour planes in [-1, 1] (gan_core.images.to_pil). */
export function toPicture(planes) {
  const result = picture(SIDE, SIDE, 3), pixels = SIDE * SIDE;
  for (let i = 0, j = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) result.data[j++] = (planes[c * pixels + i] + 1) * 127.5;
  }
  return result;
}
