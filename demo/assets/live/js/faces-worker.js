/** The worker that inverts and edits a cut-out face: encoder, generator, alignment, consultation and head. */

import { serve, tell } from "./calls.js";
import { GRAPHS, HFGIPipeline, toPicture } from "./hfgi.js";
import { LatentSmoother } from "./latents.js";
import { Models, fetchFile } from "./models.js";
import { fadedDifference } from "./paste.js";
import { planar } from "./finder.js";
import { referenceFor } from "./reference.js";
import { readSafetensors } from "./safetensors.js";

const smoother = new LatentSmoother();
let models, pipeline;
let face = null;  // the crop and its inversion

/** What `edit` changes, ready to be pasted; null where nothing changes. */
async function change(strengths) {
  const edited = toPicture(await pipeline.edit(face.inversion, strengths));
  const unchanged = toPicture(face.inversion.restored);
  const reference = await referenceFor(models, face.crop, unchanged, edited);
  const value = fadedDifference(edited, reference);
  return { value: { change: value, edited }, transfer: value ? [value.data.buffer] : [] };
}

serve(self, {
  async load({ jspi, threads }) {
    const told = (bytes) => tell(self, { bytes }), lost = (message) => tell(self, { message });
    models = new Models([...GRAPHS, "moved_along"], { jspi, gpu: jspi, threads, told, lost });
    const [directions] = await Promise.all([fetchFile("weights/people_hfgi/directions.safetensors", told), models.load()]);
    pipeline = new HFGIPipeline(models, readSafetensors(directions));
    await warmUp();
    return { value: { attributes: Object.values(pipeline.attributes), device: models.device, threads: models.threads } };
  },

  /** Invert a cut-out face from nothing before. */
  async invert(crop) {
    face = { crop, inversion: await pipeline.invert(crop) };
  },

  /** Invert the face of a later frame; its codes are smoothed over the frames. @param {number} time Seconds. */
  async invertNext(crop, time) {
    const planes = planar(crop), codes = smoother.smoothed(await pipeline.encode(planes), time);
    face = { crop, inversion: await pipeline.inversionOf(planes, codes) };
  },

  /** Frames from here on show somebody else, or the same person after a while. */
  forget() {
    smoother.forget();
  },

  edit: change,

  /** For tests: the graphics processor is lost. */
  loseGPU() {
    models.gpuDevice?.destroy();
  },

  device: () => ({ value: models.device }),
});

/** Compute everything once, as the first time takes longer. */
async function warmUp() {
  await pipeline.invert({ width: 256, height: 256, channels: 3, data: new Uint8ClampedArray(3 * 65536).fill(128) })
    .then((inversion) => pipeline.edit(inversion, { smile: 1 }));
}
