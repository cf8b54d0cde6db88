// A camera whose frames the server edits: the js_on_load of demo/parts/camera.py. Gradio gives element, trigger, props
// and watch. Frames travel by Gradio's stream event, but one at a time: the next one is taken from the camera when the
// last one was answered, so what comes meanwhile is dropped and nothing ever waits. Gradio's own camera sends by the
// clock, and says nothing where it is refused.
(async () => {
  const { Camera } = await import(new URL("live/js/camera.js", location.href.split(/[?#]/)[0]));
  const LONGEST = 640, QUALITY = 0.85, ANSWER = 30_000, OVER = 10;  // pixels; JPEG; milliseconds; seconds of rates
  const $ = (name) => element.querySelector(name);
  const video = $("video"), shown = $("img"), canvas = document.createElement("canvas");
  const button = (what) => document.querySelector(`#${$(".camera").dataset.prefix}-${what}`);
  const camera = new Camera(video, (sentence) => stop("trouble", sentence));
  let run = 0, number = 0, came = 0, times = [];
  let answered = null, sent = Promise.resolve();  // the frame that was sent last

  const say = (state, sentence) => {
    $(".camera").dataset.state = state;
    $(".camera-message").textContent = sentence;
    for (const [what, usable] of [["start", !camera.on], ["stop", camera.on]]) {
      if (button(what)) button(what).disabled = !usable;
    }
  };
  const stop = (state, sentence) => {
    const mine = ++run;
    camera.stop();
    sent.then(() => mine === run && trigger("close_stream"));  // a frame for a stream that is over would be an error
    shown.hidden = true;
    say(state, sentence);
  };

  const count = (mine) => {  // frames that the camera gives, also those that nothing is done with
    if (mine !== run) return;
    came++;
    video.requestVideoFrameCallback?.(() => count(mine));
  };

  // A frame as a JPEG, sent; its answer, or null.
  const ask = async ({ bitmap, time }) => {
    const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
    Object.assign(canvas, { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    sent = new Promise((resolve) => {
      answered = resolve;
      setTimeout(() => resolve(null), ANSWER);
    });
    props.value = { number: ++number, time, image: canvas.toDataURL("image/jpeg", QUALITY) };
    trigger("stream");
    return sent;
  };
  watch("value", () => {
    if (props.value?.answer === number) answered?.(props.value);
  });

  const numbers = ({ inversions }) => {
    const now = performance.now() / 1000;
    times.push({ now, came, inversions });
    while (now - times[0].now > OVER) times.shift();
    const first = times[0], span = now - first.now;
    if (span < 1) return;
    const done = times.length - 1, all = Math.max(done, came - first.came);
    const rate = done / span, faces = (inversions - first.inversions) / span;
    Object.assign($(".camera-numbers").dataset, {
      rate: rate.toFixed(2), dropped: all - done, came: all, inversions: faces.toFixed(2),
    });
    $(".camera-numbers").textContent =
      `${rate.toFixed(1)} frames a second; ${all - done} of the camera's last ${all} dropped; ` +
      `the face read anew ${faces.toFixed(1)} times a second.`;
  };

  const pause = async () => {
    say("paused", "Paused while this tab is hidden.");
    await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    times = [];
  };

  const start = async (id) => {
    const mine = ++run;
    say("working", "Starting the camera ...");
    const watching = setInterval(() => {  // whether the page still shows this
      if (mine === run && !element.isConnected) stop("ready", "");
      if (mine !== run) clearInterval(watching);
    }, 500);
    try {
      await camera.start(id);
      const cameras = await camera.list();
      $("select").hidden = cameras.length < 2;
      $("select").replaceChildren(...cameras.map(({ id, label, used }) => new Option(label, id, used, used)));
      times = [];
      count(mine);
      say("live", "The first frame is on its way ...");
      while (mine === run && camera.on) {
        if (document.hidden) await pause();
        const frame = mine === run && (await camera.frame());
        if (!frame || mine !== run) continue;
        const answer = await ask(frame);
        if (mine !== run) return;
        if (!answer) return stop("trouble", "The server did not answer. Please start the camera again.");
        if (answer.stop) return stop("trouble", answer.text);
        if (answer.image) shown.src = answer.image;
        shown.hidden = false;
        numbers(answer);
        say("live", answer.text);
        if (answer.wait) await new Promise((resolve) => setTimeout(resolve, 1000 * answer.wait));
      }
    } catch (error) {
      if (mine === run) stop("trouble", error.message);
    }
  };

  const clicked = (event) => {
    if (!element.isConnected) return document.removeEventListener("click", clicked);
    if (event.target.closest?.("button") === button("start") && !camera.on) start();
    if (event.target.closest?.("button") === button("stop")) stop("ready", "Stopped.");
  };
  document.addEventListener("click", clicked);
  $("select").onchange = ({ target }) => start(target.value);
  const begin = () => (button("stop") ? say("ready", "") : setTimeout(begin, 50));  // the buttons are put up beside it
  begin();
})();
