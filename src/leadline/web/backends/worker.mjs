// The thread in which networks run. It keeps one session for every model that was asked for.

import { prepareInput } from "../preprocess.mjs";

const VENDOR = new URL("../vendor/", import.meta.url).href;
const WASM = `${VENDOR}ort-wasm-simd-threaded.wasm`;
const sessions = new Map();
let library = null;

/** onnxruntime-web with as many threads as this page may have. */
async function openLibrary() {
  if (library) return library;
  library = await import(`${VENDOR}ort.wasm.bundle.min.mjs`);
  library.env.wasm.wasmPaths = { wasm: WASM };
  library.env.wasm.numThreads = self.crossOriginIsolated
    ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  library.env.logLevel = "error";
  return library;
}

/** The bytes of a file, with progress. */
async function download(address, say) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} is missing on this site (${response.status}).`);
  const length = +response.headers.get("content-length");
  if (!length || response.headers.get("content-encoding")) {
    return new Uint8Array(await response.arrayBuffer());
  }
  const bytes = new Uint8Array(length);
  let done = 0;
  for await (const chunk of readChunks(response.body)) {
    bytes.set(chunk, done);
    done += chunk.length;
    say(done / length);
  }
  return bytes;
}

async function* readChunks(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

async function openSession(model, base, say) {
  if (!sessions.has(model.name)) {
    const text = `Loading ${model.name} (once)`;
    const graph = await download(base + model.graph, () => {});
    const externalData = [];
    for (const path of model.external) {
      const data = await download(base + path, (share) => say({ text, share }));
      externalData.push({ path, data });
    }
    say({ text: "Starting the network", share: null });
    const { InferenceSession } = await openLibrary();
    const session = await InferenceSession.create(graph, {
      externalData, executionProviders: ["wasm"], graphOptimizationLevel: "all",
    });
    sessions.set(model.name, session);
  }
  return sessions.get(model.name);
}

async function predict({ model, base, pixels, width, height }, say) {
  const session = await openSession(model, base, say);
  say({ text: "Computing depth", share: null });
  const start = performance.now();
  const { Tensor } = await openLibrary();
  const input = prepareInput(model.preprocess, pixels, width, height);
  const tensor = new Tensor("float32", input.data, [1, 3, input.height, input.width]);
  const outputs = await session.run({ [model.input]: tensor });
  const output = outputs[model.output];
  const seconds = (performance.now() - start) / 1000;
  const [mapHeight, mapWidth] = output.dims.slice(-2);
  return { values: output.data, size: [mapWidth, mapHeight], inputHeight: input.height, seconds };
}

let queue = Promise.resolve(); // one run at a time

self.onmessage = ({ data: { id, ...job } }) => {
  queue = queue.then(async () => {
    try {
      const answer = await predict(job, (progress) => self.postMessage({ id, progress }));
      self.postMessage({ id, ...answer });
    } catch (error) {
      self.postMessage({ id, error: error.message ?? String(error) });
    }
  });
};
