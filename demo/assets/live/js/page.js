/** The page: a photo or the camera on a canvas, sliders, and what there is to say. */

import { Caller } from "./calls.js";
import { Camera } from "./camera.js";
import { Trouble } from "./geometry.js";
import { Meter } from "./meter.js";
import { editNote, marked } from "./png.js";
import { Sliders } from "./sliders.js";

const WELCOME = "Start the camera, or choose a photo with a face.";
const MOST_PIXELS = 40e6;
const $ = (id) => document.getElementById(id);
const canvas = $("canvas"), pen = canvas.getContext("2d");
const options = new URLSearchParams(location.search);
const worker = new Caller(new Worker(new URL("./photo-worker.js", import.meta.url), { type: "module" }), onNews);
const camera = new Camera($("video"), (sentence) => say("trouble", sentence));
const meter = new Meter($("numbers"));
const sliders = new Sliders($("sliders"), onSlider);
let total = 1, loaded = 0;
let original = null;  // the photo or the frame as it came, an ImageBitmap
let patch = null;  // what the edit changes in it: { x, y, image }
let loop = 0;  // number of the camera's run; another one ends the one before

/** @param {"loading"|"ready"|"working"|"live"|"paused"|"trouble"} state */
function say(state, sentence) {
  document.body.dataset.state = state;
  $("message").textContent = sentence;
}

function onNews({ bytes, message }) {
  if (bytes) {
    loaded += bytes;
    $("progress").value = Math.min(1, loaded / total);
    if (document.body.dataset.state === "loading") $("message").textContent = `Loading: ${(loaded / 1e6).toFixed(0)} MB`;
  }
  if (message) say(document.body.dataset.state, message);
}

/** Show the picture with its edit, or as it came. */
function draw(edited = true) {
  if (!original) return;
  if (canvas.width !== original.width || canvas.height !== original.height) {
    Object.assign(canvas, { width: original.width, height: original.height });
  }
  pen.drawImage(original, 0, 0);
  if (edited && patch?.image) pen.putImageData(patch.image, patch.x, patch.y);
  document.body.dataset.edited = edited && patch?.image ? "yes" : "no";
}

function show(bitmap, change) {
  original?.close();
  original = bitmap;
  patch = change;
  draw(!held);
  for (const id of ["original", "save"]) $(id).disabled = false;
}

// ---------------------------------------------------------------- a photo

let redrawing = null, again = false;
let chosen = false;  // a face of the photo is inverted: until then there is nothing to edit, and then it is drawn anyway

async function onSlider() {
  if (camera.on || !original || !chosen) return;
  again = true;
  redrawing ??= redraw().finally(() => { redrawing = null; });
  await redrawing;
}

/** Draw the photo for the sliders' values, and once more if they moved meanwhile. */
async function redraw() {
  while (again) {
    again = false;
    await attempt(async () => {
      say("working", "Drawing the edit ...");
      patch = await worker.call("edit", [sliders.values()]);
      draw(!held);
      say("ready", "Move a slider.");
      meter.edited();
    });
  }
}

async function openPhoto(file) {
  stopCamera();
  await attempt(async () => {
    say("working", "Looking for faces ...");
    chosen = false;
    show(await decoded(file), null);
    const boxes = await worker.call("open", [await createImageBitmap(original)]);
    showBoxes(boxes);
    await choose(0, boxes.length);
  });
}

async function choose(index, count) {
  [...$("boxes").children].forEach((box, i) => box.setAttribute("aria-pressed", String(i === index)));
  say("working", `${count > 1 ? `${count} faces found; face ${index + 1} is edited.` : "One face found."} Inverting it ...`);
  chosen = false;
  await worker.call("choose", [index]);
  chosen = again = true;
  await redraw();
  if (count > 1) say("ready", `${count} faces found; face ${index + 1} is edited. Click another one to edit that.`);
}

async function decoded(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Trouble("The file is not a picture that this browser can read. Choose a JPEG, PNG or WebP.");
  }
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) throw new Trouble("The picture is too large. Choose one of at most 40 megapixels.");
  if (Math.min(width, height) < 64) throw new Trouble("The picture is too small: each side must have at least 64 pixels.");
  return bitmap;
}

/** Frames around several faces, to be clicked. */
function showBoxes(boxes) {
  $("boxes").replaceChildren();
  if (boxes.length < 2) return;
  const stage = $("stage").getBoundingClientRect(), place = canvas.getBoundingClientRect();
  const scale = place.width / canvas.width, [left, top] = [place.left - stage.left, place.top - stage.top];
  boxes.forEach(([x0, y0, x1, y1], i) => {
    const box = document.createElement("button");
    box.setAttribute("aria-label", `Face ${i + 1}`);
    Object.assign(box.style, {
      left: `${left + x0 * scale}px`, top: `${top + y0 * scale}px`,
      width: `${(x1 - x0) * scale}px`, height: `${(y1 - y0) * scale}px`,
    });
    box.onclick = () => attempt(() => choose(i, boxes.length));
    $("boxes").append(box);
  });
}

// ---------------------------------------------------------------- the camera

async function startCamera(id) {
  await attempt(async () => {
    say("working", "Starting the camera ...");
    await camera.start(id);
    await listCameras();
    showBoxes([]);
    $("start").textContent = "Stop the camera";
    await worker.call("restart");
    meter.restart();
    run(++loop);
  });
  if (!camera.on) $("start").textContent = "Start the camera";
}

function stopCamera() {
  loop++;
  camera.stop();
  $("start").textContent = "Start the camera";
}

async function listCameras() {
  const cameras = await camera.list();
  $("cameras").hidden = cameras.length < 2;
  $("camera").replaceChildren(...cameras.map(({ id, label, used }) => new Option(label, id, used, used)));
}

/** Edit frame after frame until another run begins. */
async function run(number) {
  await attempt(async () => {
    while (number === loop && camera.on) {
      if (document.hidden) await pause();
      const frame = await camera.frame();
      if (!frame) continue;
      const { bitmap, time } = frame;
      if (number !== loop) return bitmap.close();
      const copy = await createImageBitmap(bitmap);
      const answer = await worker.call("frame", [copy, time, sliders.values()], [copy]);
      if (number !== loop) return bitmap.close();
      show(bitmap, answer);
      meter.frame(answer);
      say("live", answer.trouble ?? facesSentence(answer));
    }
  });
}

/** Wait until the page is seen again. */
async function pause() {
  say("paused", "Paused while this tab is hidden.");
  await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  await worker.call("restart");
  meter.restart();
}

function facesSentence({ faces, edited }) {
  if (!faces) return "No face is in the picture: come into it, in good light.";
  if (!edited && Object.values(sliders.values()).some(Boolean)) return "A face is there: its first edit takes a moment ...";
  return faces === 1 ? "One face: move a slider." : `${faces} faces: the largest one is edited.`;
}

// ---------------------------------------------------------------- all of it

/** Do something; what a person can do something about is said, and so is what went wrong otherwise. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Trouble)) console.error(error);
    stopCamera();
    say("trouble", error instanceof Trouble ? error.message : `Something went wrong: ${error.message}. Load the page again.`);
  }
}

let held = false;

function hold(down) {
  held = down;
  draw(!down);
}

async function save() {
  const png = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(patch?.image ? await marked(png, editNote(sliders.values())) : png);
  link.download = patch?.image ? "edited.png" : "unchanged.png";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function wire() {
  $("start").onclick = () => (camera.on ? (stopCamera(), say("ready", WELCOME)) : startCamera());
  $("camera").onchange = (event) => startCamera(event.target.value);
  $("file").onchange = ({ target }) => target.files[0] && openPhoto(target.files[0]).then(() => { target.value = ""; });
  $("reset").onclick = () => sliders.reset();
  $("save").onclick = save;
  const button = $("original");
  button.onpointerdown = () => hold(true);
  button.onpointerup = button.onpointerleave = () => hold(false);
  button.onkeydown = ({ key }) => (key === " " || key === "Enter") && hold(true);
  button.onkeyup = () => hold(false);
}

await attempt(async () => {
  const began = performance.now();
  wire();
  const sizes = JSON.parse(await (await fetch(new URL("../graphs/index.json", import.meta.url))).text()).bytes;
  total = Object.values(sizes).reduce((a, b) => a + b);
  const cores = navigator.hardwareConcurrency || 2;
  const threads = Number(options.get("threads")) || Math.min(Math.max(cores - 1, 1), 4);  // a core follows the face
  const { attributes, device, threads: used } = await worker.call("load", [{ gpu: options.get("gpu") ?? "on", threads }]);
  sliders.build(attributes);
  meter.loaded({ bytes: loaded, seconds: (performance.now() - began) / 1000, device, threads: used });
  for (const id of ["start", "file", "reset"]) $(id).disabled = false;
  say("ready", WELCOME);
});

/** For tests. */
globalThis.live = { worker, camera };
