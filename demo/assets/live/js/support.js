/* Says what an old browser lacks, in a script that an old browser can read; else it starts the page. */
(function () {
  "use strict";
  // The smallest module with a SIMD instruction.
  var simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
  var missing = [];

  function moduleWorkers() {
    var found = false, empty = URL.createObjectURL(new Blob([""], { type: "text/javascript" }));
    new Worker(empty, { get type() { found = true; return "module"; } }).terminate();
    URL.revokeObjectURL(empty);
    return found;
  }

  function need(there, name) {
    if (!there) missing.push(name);
  }

  var wasm = typeof WebAssembly === "object";
  need(wasm, "WebAssembly");
  need(wasm && WebAssembly.validate(new Uint8Array(simd)), "WebAssembly's SIMD instructions");
  need(typeof Worker === "function" && moduleWorkers(), "workers with modules");
  need(typeof OffscreenCanvas === "function", "OffscreenCanvas");
  need(typeof createImageBitmap === "function", "createImageBitmap");
  need(typeof BigInt === "function", "BigInt");
  var message = document.getElementById("message");
  if (missing.length) {
    document.body.setAttribute("data-state", "trouble");
    message.textContent = "This browser is too old for this page: it lacks " + missing.join(", ") +
      ". Open the page in a current Chrome, Edge, Firefox or Safari.";
    return;
  }
  var script = document.createElement("script");
  script.type = "module";
  script.src = "js/page.js";
  script.onerror = function () {
    document.body.setAttribute("data-state", "trouble");
    message.textContent = "A part of this page could not be loaded. Please load it again.";
  };
  document.body.appendChild(script);
})();
