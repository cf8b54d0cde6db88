// Gradio's sliders tell the server when the pointer is let go or the number field is left; with the keyboard
// alone neither happens. This adds both.
() => {
  const released = (input) => input.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
  document.addEventListener("keyup", (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement)) return;
    const moves = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];
    if (input.type === "range" && moves.includes(event.key)) released(input);
    if (input.type === "number" && event.key === "Enter") input.blur();
  });
}
