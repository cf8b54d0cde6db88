/** The worker that finds faces, cuts one out, has it edited by the other worker, and pastes it back. */

import { SMALLEST_QUAD, TOO_SMALL, align } from "./alignment.js";
import { Caller, serve, tell } from "./calls.js";
import { FaceFinder } from "./finder.js";
import { Trouble, faceBox, quadSide } from "./geometry.js";
import { LiveEditor } from "./live.js";
import { Models, hasWebGPU } from "./models.js";
import { pasteBack } from "./paste.js";
import { fromImageData, toImageData } from "./picture.js";

const NO_FACE = "No face was found in this picture. Try another one.";
const faces = new Caller(
  new Worker(new URL("./faces-worker.js", import.meta.url), { type: "module" }),
  (news) => tell(self, news));
let finder, live;
let photo = null, found = [], aligned = null;  // of the still photo

/** @param {ImageBitmap} bitmap It is closed. @returns {import("./picture.js").Picture} */
function pixelsOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0);
  bitmap.close();
  return fromImageData(pen.getImageData(0, 0, canvas.width, canvas.height));
}

function handOver(value, image) {
  return { value: { ...value, image }, transfer: image ? [image.data.buffer] : [] };
}

serve(self, {
  /** @param {{gpu: "on"|"off"|"emulated", threads: number}} options */
  async load({ gpu, threads }) {
    const jspi = gpu !== "off" && (await hasWebGPU(gpu === "emulated"));  // one onnxruntime for both workers
    const told = (bytes) => tell(self, { bytes });
    const models = new Models(["locate", "refine"], { jspi, gpu: false, threads: 1, told, lost() {} });
    const [value] = await Promise.all([faces.call("load", [{ jspi, threads }]), models.load()]);
    finder = new FaceFinder(models);
    live = new LiveEditor(finder, faces);
    return { value };
  },

  /** Find the faces of a still photo. Their boxes, largest first. */
  async open(bitmap) {
    photo = pixelsOf(bitmap);
    const all = await finder.find(photo);
    if (!all.length) throw new Trouble(NO_FACE);
    found = all.filter((face) => quadSide(face) >= SMALLEST_QUAD);
    if (!found.length) throw new Trouble(TOO_SMALL);
    return { value: found.map(faceBox) };
  },

  /** Cut out and invert one of the faces found. */
  async choose(index) {
    aligned = align(photo, found[index]);
    await faces.call("invert", [aligned.crop]);
  },

  /** The part of the photo that the edit changes, as { x, y, image }; without image where nothing changes. */
  async edit(strengths) {
    const { change } = await faces.call("edit", [strengths]);
    if (!change) return { value: {} };
    const { x, y, picture } = pasteBack(photo, aligned, change);
    return handOver({ x, y }, toImageData(picture));
  },

  /** A frame of the camera, shown at `time` seconds: what changes in it, and what there is to say. */
  async frame(bitmap, time, strengths) {
    const { patch, ...state } = await live.frame(pixelsOf(bitmap), time, strengths);
    return handOver({ ...state, x: patch?.x, y: patch?.y }, patch && toImageData(patch.picture));
  },

  /** The camera was started, changed or stopped. */
  restart() {
    live.forget();
  },

  loseGPU: () => faces.call("loseGPU"),
  device: async () => ({ value: await faces.call("device") }),
});
