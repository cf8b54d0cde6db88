/** The camera: starts, lists, stops; and says in a sentence why there is none. */

import { Trouble } from "./geometry.js";

const SIZE = { width: { ideal: 640 }, height: { ideal: 480 } };
const SLOWEST = 80;  // milliseconds; a browser that holds frames back, or cannot tell of them, is not waited for longer
const OR_PHOTO = "or choose a photo";
const REASONS = {
  NotAllowedError: `The camera was not allowed. Allow it beside the address of this page and start again, ${OR_PHOTO}.`,
  NotFoundError: `No camera was found. Connect one and start again, ${OR_PHOTO}.`,
  OverconstrainedError: `This camera is not there any more. Choose another one, ${OR_PHOTO}.`,
  NotReadableError: `The camera cannot be read: another program may be using it. Close that and start again, ${OR_PHOTO}.`,
};
const NO_ACCESS = `Cameras work only on pages opened by https or on this machine itself. Open it so, ${OR_PHOTO}.`;

export class Camera {
  /** @param {HTMLVideoElement} video @param {(sentence: string) => void} ended Told when the camera goes away. */
  constructor(video, ended) {
    this.video = video;
    this.ended = ended;
    this.stream = null;
  }

  /** Start a camera by its id, or any. Throws Trouble. @returns {Promise<void>} */
  async start(id) {
    this.stop();
    if (!navigator.mediaDevices?.getUserMedia) throw new Trouble(NO_ACCESS);
    try {
      const video = { ...SIZE, ...(id ? { deviceId: { exact: id } } : {}) };
      this.stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    } catch (error) {
      throw new Trouble(REASONS[error.name] ?? `The camera could not be started (${error.name}). Choose a photo instead.`);
    }
    this.stream.getVideoTracks()[0].onended = () => {
      this.stop();
      this.ended("The camera went away. Start it again, or choose a photo.");
    };
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  /** All cameras as { id, label }, and which one is used. */
  async list() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const cameras = devices.filter((device) => device.kind === "videoinput");
    const used = this.stream?.getVideoTracks()[0].getSettings().deviceId;
    return cameras.map(({ deviceId: id, label }, i) => ({ id, label: label || `Camera ${i + 1}`, used: id === used }));
  }

  stop() {
    this.stream?.getTracks().forEach((track) => { track.onended = null; track.stop(); });
    this.stream = this.video.srcObject = null;
  }

  get on() {
    return this.stream !== null;
  }

  /** The next frame, when the camera has one; null where there is none yet, or it was hidden or stopped before. */
  async frame() {
    const waited = new AbortController();
    const came = await new Promise((resolve) => {
      document.addEventListener("visibilitychange", () => resolve(false), waited);
      this.video.requestVideoFrameCallback?.(() => resolve(true));
      setTimeout(() => resolve(true), SLOWEST);
    });
    waited.abort();
    const ready = came && this.on && this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    return ready ? { bitmap: await createImageBitmap(this.video), time: performance.now() / 1000 } : null;
  }
}
