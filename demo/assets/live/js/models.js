/**
 * The networks: fetches graphs and weights from this page's own folder, opens them in onnxruntime-web, and computes.
 *
 * With WebGPU where the browser has it, else with WebAssembly; where the GPU is lost, the same networks are opened again
 * for WebAssembly and what was asked for is computed again.
 */

const ROOT = new URL("../", import.meta.url);
const ON_PROCESSOR = new Set(["locate", "refine", "moved_along"]);  // small, or of operations that WebGPU lacks

/** Fetch a file of this page's folder. `told` is given the bytes as they come. @returns {Promise<Uint8Array>} */
export async function fetchFile(path, told = () => {}) {
  const response = await fetch(new URL(path, ROOT));
  if (!response.ok || !response.body) throw new Error(`${path} was not found (${response.status}).`);
  const parts = [], reader = response.body.getReader();
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
    told(value.length);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Whether WebGPU can be used: WebAssembly that can wait for it, and an adapter, which is no emulation by the processor
 * unless `emulated` ones are wanted.
 */
export async function hasWebGPU(emulated = false) {
  if (!("gpu" in navigator) || !("Suspending" in WebAssembly)) return false;
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (!adapter) return false;
  const { isFallbackAdapter, architecture } = adapter.info ?? adapter;
  return emulated || !(isFallbackAdapter || architecture === "swiftshader");
}

export class Models {
  /**
   * @param {string[]} names Of graphs.
   * @param {object} options
   * @param {boolean} options.jspi Whether to load the onnxruntime that has WebGPU, see `hasWebGPU`.
   * @param {boolean} options.gpu Whether to compute by WebGPU.
   * @param {number} options.threads Of WebAssembly; more than one only where the page is isolated.
   * @param {(bytes: number) => void} options.told Given the bytes as they come.
   * @param {(sentence: string) => void} options.lost Told when the GPU was lost.
   */
  constructor(names, { jspi, gpu, threads, told, lost }) {
    Object.assign(this, { names, jspi, gpu, told, lost, sessions: {}, device: "wasm" });
    this.threads = globalThis.crossOriginIsolated ? threads : 1;
  }

  /** Fetch and open all graphs. */
  async load() {
    this.ort = await import(this.jspi ? "../vendor/ort.jspi.min.mjs" : "../vendor/ort.wasm.min.mjs");
    const { wasm } = this.ort.env;
    wasm.wasmPaths = new URL("vendor/", ROOT).href;
    wasm.numThreads = this.threads;
    this.index = JSON.parse(new TextDecoder().decode(await fetchFile("graphs/index.json")));
    this.files = new Map();
    const needed = new Set(this.names.flatMap((name) => this.index.graphs[name].map((file) => `weights/${file}`)));
    this.names.forEach((name) => needed.add(`graphs/${name}.onnx`));
    await Promise.all([...needed].map(async (path) => this.files.set(path, await fetchFile(path, this.told))));
    try {
      await this.open(this.gpu ? "webgpu" : "wasm");
    } catch (error) {
      if (!this.gpu) throw error;
      await this.fallBack(error);
    }
    if (this.device === "wasm") this.files.clear();  // else they are needed if the GPU is lost
  }

  /** Open the graphs for a device, "webgpu" or "wasm". */
  async open(device) {
    for (const name of this.names) {
      const small = ON_PROCESSOR.has(name) || name.startsWith("put_in_place");
      if (small && this.sessions[name]) continue;
      const externalData = this.index.graphs[name].map((path) => ({ path, data: this.files.get(`weights/${path}`) }));
      this.sessions[name] = await this.ort.InferenceSession.create(this.files.get(`graphs/${name}.onnx`), {
        executionProviders: [small ? "wasm" : device],
        externalData,
        logSeverityLevel: 3,
        extra: { session: { intra_op: { allow_spinning: "0" } } },  // threads that wait leave the cores to the other worker
      });
    }
    this.device = device;
    if (device === "webgpu") this.watch(await this.ort.env.webgpu.device);
  }

  watch(device) {
    this.gone = device.lost.then((info) => {
      throw new Error(`The GPU was lost: ${info.message || info.reason}`);
    });
    this.gone.catch(() => {});
    this.gpuDevice = device;
  }

  /** Open the graphs again for WebAssembly, once, and say so. */
  fallBack(error) {
    this.falling ??= (async () => {
      console.info("WebGPU is given up:", error.message);
      await this.open("wasm");
      this.files.clear();
      this.lost("The graphics processor was lost, so WebAssembly computes from here on, more slowly.");
    })();
    return this.falling;
  }

  /**
   * Compute a graph.
   * @param {Record<string, [Float32Array, number[]]>} inputs Values and shape of each.
   * @returns {Promise<Record<string, Float32Array>>}
   */
  async run(name, inputs) {
    const compute = async () => {
      const feeds = {};
      for (const [key, [data, dims]] of Object.entries(inputs)) feeds[key] = new this.ort.Tensor("float32", data, dims);
      const outputs = await this.sessions[name].run(feeds);
      return Object.fromEntries(Object.entries(outputs).map(([key, tensor]) => [key, tensor.data]));
    };
    if (this.device !== "webgpu") return compute();
    try {
      return await Promise.race([compute(), this.gone]);
    } catch (error) {
      await this.fallBack(error);
      return compute();
    }
  }
}
