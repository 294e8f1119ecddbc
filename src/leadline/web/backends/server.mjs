// Depth from the server's REST interface.

import { DepthMap } from "../depth_map.mjs";

const FOV_LIMITS = [5, 150]; // that the server takes
const PATIENCE_MS = 120_000;

/** What a server with a token wants of every request; the token is kept while the tab is open. */
function addToken(options = {}) {
  const token = sessionStorage.getItem("token");
  if (token === null) return options;
  return { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } };
}

/** Ask, and ask again while a model loads, all places are taken, or the token is missing. */
async function ask(address, options, onProgress = () => {}) {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const response = await fetch(address, addToken(options));
    if (response.ok) return response;
    const token = response.status === 401 ? prompt("This server asks for its token:") : null;
    if (token) {
      sessionStorage.setItem("token", token);
      continue;
    }
    const { error, code } = await response.json().catch(() => ({}));
    const isSoon = code === "loading" || response.status === 429;
    if (!isSoon || performance.now() > end) {
      throw new Error(error ?? `The server answered ${response.status}; try again.`);
    }
    const text = code === "loading" ? "The model is being loaded" : "Waiting for a free place";
    onProgress({ text, share: null });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    options?.signal?.throwIfAborted();
  }
}

/** The models of the server; of one that is still loading, name and state alone. */
async function listModels() {
  const { models } = await (await ask("v1/models")).json();
  return models.map((model) => ({
    kind: "", ...model, needsLens: model.needs_lens ?? false,
  }));
}

function readLens(text) {
  if (!text) return null;
  try {
    const { fx, fy, cx, cy } = JSON.parse(text);
    return { fx, fy, cx, cy };
  } catch {
    return null;
  }
}

export class ServerBackend {
  constructor(models, can) {
    this.models = models;
    this.can = can;
    this.place = "Pictures are computed on this server and not kept.";
  }

  static async open() {
    return new ServerBackend(await listModels(), ["pair"]);
  }

  async predict(picture, { model, fovDeg = null, signal, onProgress = () => {} }) {
    onProgress({ text: "Computing depth", share: null });
    const query = new URLSearchParams({ model });
    if (fovDeg >= FOV_LIMITS[0] && fovDeg <= FOV_LIMITS[1]) query.set("fov", `${fovDeg}`);
    const start = performance.now();
    const response = await ask(`v1/depth?${query}`, {
      method: "POST",
      headers: { Accept: "application/octet-stream", "Content-Type": picture.blob.type },
      body: picture.blob, signal,
    }, onProgress);
    if (this.models.some(({ state }) => state === "loading")) this.models = await listModels();
    const { headers } = response;
    const [height, width] = headers.get("x-depth-shape").split(",").map(Number);
    const values = new Float32Array(await response.arrayBuffer());
    return new DepthMap({
      values, width, height, kind: headers.get("x-depth-kind"),
      model: headers.get("x-depth-model"), licence: headers.get("x-depth-licence"),
      fovDeg, lens: fovDeg === null ? null : "given",
      intrinsics: readLens(headers.get("x-depth-camera")),
      seconds: (performance.now() - start) / 1000,
    });
  }

  /** Matches, epipolar geometry and points of two photos. */
  async pair(left, right, { fov }) {
    const form = new FormData();
    form.append("left", left.blob, left.name);
    form.append("right", right.blob, right.name);
    if (fov !== null) form.append("fov", `${fov}`);
    return (await ask("v1/pair", { method: "POST", body: form })).json();
  }
}
