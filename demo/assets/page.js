// What Gradio leaves out for people at a keyboard.
() => {
  // Its sliders tell the server when the pointer is let go or the number field is left; with the keyboard alone
  // neither happens.
  const released = (input) => input.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
  document.addEventListener("keyup", (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement)) return;
    const moves = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];
    if (input.type === "range" && moves.includes(event.key)) released(input);
    if (input.type === "number" && event.key === "Enter") input.blur();
  });

  // It leaves some buttons with nothing but a picture nameless, and names what is no button.
  const name = () => {
    const pictures = document.querySelectorAll("button:not([aria-label]) img");
    for (const picture of pictures) {
      const button = picture.closest("button"), place = picture.closest(".block, .form");
      if (button.textContent.trim()) continue;
      const beside = place?.querySelector("label, .label, [data-testid=block-label]")?.textContent.trim();
      const place_in_row = [...button.parentElement.children].indexOf(button) + 1;
      const number = button.matches(".gallery-item") ? ` ${place_in_row}` : "";
      button.setAttribute("aria-label", picture.alt || (beside || "Picture") + number);
    }
    for (const one of document.querySelectorAll("div[aria-label]:not([role])")) {
      one.setAttribute("role", one.matches(".empty") ? "img" : "group");
    }
  };
  let naming = 0;
  new MutationObserver(() => {
    naming ||= setTimeout(() => { naming = 0; name(); }, 400);
  }).observe(document.body, { subtree: true, childList: true });
  name();

  // A picture pasted anywhere on the page goes into the photo input under the pointer, else into the first in sight.
  // Gradio itself pastes only by the button.
  const inputsInSight = () =>
    [...document.querySelectorAll('button[aria-label="Paste from clipboard"]')]
      .filter((button) => button.offsetParent !== null)
      .map((button) => button.closest(".block"))
      .filter((block) => block !== null);
  const hand = (block, file, triesLeft) => {
    const input = block.querySelector('input[type="file"]');
    if (input) {
      const files = new DataTransfer();
      files.items.add(file);
      input.files = files.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    } else if (triesLeft > 0) {
      // it shows another picture, or its camera: the place for files comes back within a frame or two, or, on a busy
      // machine, seconds
      const selector = 'button[aria-label="Clear"], button[aria-label="Remove Image"], button[aria-label="Upload file"]';
      block.querySelector(selector)?.click();
      setTimeout(() => hand(block, file, triesLeft - 1), 100);
    }
  };
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((item) => item.type.startsWith("image/"));
    const blocks = inputsInSight();
    if (!file || blocks.length === 0) return;
    event.preventDefault();
    hand(blocks.find((block) => block.matches(":hover")) ?? blocks[0], file, 50);
  });

  // Gradio has an editor that one paints in upload all it holds each time it is read: the picture, too. What was sent in
  // the last minutes is not sent again.
  const KEEP = 5 * 60 * 1000, MOST = 40;
  const EDITORS = /^(background|composite|layer_\d+|(paint|paper|layer|lines)-\d+)\.(png|jpg)$/;
  const sent = new Map();
  const fingerprint = async (file) => {
    let a = 0x811c9dc5, b = 0x9747b28c;
    for (const byte of new Uint8Array(await file.arrayBuffer())) {
      a = Math.imul(a ^ byte, 0x01000193);
      b = Math.imul(b ^ byte, 0x5bd1e995) ^ (b >>> 13);
    }
    return `${file.name}/${file.size}/${a}/${b}`;
  };
  const send = window.fetch.bind(window);
  window.fetch = async (target, options) => {
    const files = options?.body instanceof FormData ? options.body.getAll("files") : [];
    if (files.length !== 1 || !EDITORS.test(files[0].name)) return send(target, options);
    const key = await fingerprint(files[0]);
    const known = sent.get(key);
    if (!known || Date.now() - known.at > KEEP) {
      const answer = send(target, options);
      sent.delete(key);
      sent.set(key, { at: Date.now(), answer });
      if (sent.size > MOST) sent.delete(sent.keys().next().value);
      answer.then((response) => response.ok || sent.delete(key), () => sent.delete(key));
    }
    return (await sent.get(key).answer).clone();
  };

  // Keys for painting: [ and ] change the size of brush or eraser, E changes between them, Ctrl+Z undoes (with Shift,
  // or Ctrl+Y: does it again). They press the editor's own buttons.
  const editorInSight = () => {
    const editors = [...document.querySelectorAll(".toolbar-wrap")]
      .filter((tools) => tools.offsetParent !== null)
      .map((tools) => tools.closest(".block"));
    return editors.find((editor) => editor.matches(":hover")) ?? editors[0];
  };
  const typing = (target) =>
    target.isContentEditable ||
    target.matches("textarea, select, input:not([type=range], [type=checkbox], [type=radio], [type=button], [type=file])");
  const tools = (editor) => [...editor.querySelectorAll(".toolbar-wrap .half-container:not(.right) button")].slice(-2);
  const sizes = (editor) => editor.querySelector(".toolbar-wrap .half-container.right input[type=range]");
  let closing = 0;
  const resize = (editor, factor, triesLeft) => {
    const slider = sizes(editor);
    if (!slider && triesLeft > 0) {  // its buttons are the colour's, if there is one, and the size's
      if (triesLeft === 20) [...editor.querySelectorAll(".toolbar-wrap .half-container.right button")].at(-1)?.click();
      setTimeout(() => resize(editor, factor, triesLeft - 1), 50);
    }
    if (!slider) return;
    const size = Number(slider.value), wanted = Math.round(size * factor);
    slider.value = wanted === size ? size + Math.sign(factor - 1) : wanted;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    clearTimeout(closing);
    // pressing the mouse elsewhere closes the slider
    closing = setTimeout(() => document.body.dispatchEvent(new MouseEvent("mousedown", { bubbles: true })), 1500);
  };
  const picking = () => document.querySelector("#comodgan-pick.picking");
  const press = (editor, name) => {
    const button = editor.querySelector(`button[aria-label="${name}"]:enabled`);
    button?.click();
    return button !== null;
  };
  document.addEventListener("keydown", (event) => {
    const editor = event.target instanceof Element && !typing(event.target) ? editorInSight() : undefined;
    if (!editor || event.defaultPrevented) return;
    const typed = event.getModifierState("AltGraph") || !(event.ctrlKey || event.metaKey || event.altKey);
    const command = (event.ctrlKey || event.metaKey) && !event.altKey, key = event.key.toLowerCase();
    if (typed && (key === "[" || key === "]")) resize(editor, key === "[" ? 0.8 : 1.25, 20);
    else if (typed && key === "e" && !event.repeat) {
      const [brush, eraser] = tools(editor);
      (brush?.classList.contains("highlight") ? eraser : brush)?.click();
    } else if (command && (key === "z" || key === "y")) {
      const redo = key === "y" || event.shiftKey;
      if (!press(editor, redo ? "Redo" : "Undo") && !redo && picking()) document.querySelector("#comodgan-unpick")?.click();
    } else return;
    event.preventDefault();
  });

  // Selecting by clicks: a click on the picture paints a dot with the brush, then the server looks at what is under it.
  let clicking;
  document.addEventListener("pointerdown", (event) => {
    if (event.target.closest?.("#comodgan-paint.waiting")) return event.stopImmediatePropagation();
    clicking = event.target.closest?.("#comodgan-paint canvas") && picking() ? event.target : undefined;
  }, true);
  document.addEventListener("pointerup", () => {
    const editor = clicking?.closest(".block");
    clicking = undefined;
    if (!editor) return;
    editor.classList.add("waiting");  // until the event "selected"
    setTimeout(() => document.querySelector("#comodgan-clicked").click(), 100);
  }, true);
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("#comodgan-pick")) return;
    const [brush] = tools(document.querySelector("#comodgan-paint"));
    brush?.click();
  });
  window.addEventListener("selected", () => {
    document.querySelector("#comodgan-paint")?.classList.remove("waiting");
  });

  document.body.dataset.listening = "";
}
