// Depth computed on this device: a worker runs the networks, so that the page never freezes.

import { DepthMap } from "../depth_map.mjs";
import { restoreMap } from "../preprocess.mjs";

export class BrowserBackend {
  constructor(models) {
    this.models = models;
    this.can = [];
    this.place = "Pictures stay on this device: the network runs in your browser.";
    this.waiting = new Map();
    this.next = 0;
  }

  static async open() {
    const response = await fetch("models/models.json");
    const { models } = await response.json();
    return new BrowserBackend(models.map((model) => ({
      ...model, needsLens: model.canonical_focal_px !== null,
    })));
  }

  start() {
    this.worker = new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => {
      const job = this.waiting.get(data.id);
      if (!job) return;
      if (data.progress) return job.onProgress(data.progress);
      this.waiting.delete(data.id);
      if (data.error) job.reject(new Error(data.error));
      else job.resolve(data);
    };
    this.worker.onerror = (event) => {
      for (const job of this.waiting.values()) {
        job.reject(new Error(event.message || "The network cannot be started in this browser."));
      }
      this.waiting.clear();
    };
  }

  ask(message, transfer, onProgress) {
    if (!this.worker) this.start();
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, onProgress });
      this.worker.postMessage({ id, ...message }, transfer);
    });
  }

  async predict(picture, { model, fovDeg = null, signal, onProgress = () => {} }) {
    const known = this.models.find(({ name }) => name === model);
    const { width, height } = picture;
    const pixels = picture.pixels.slice();
    const base = new URL("models/", document.baseURI).href;
    const answer = await this.ask(
      { model: known, base, pixels, width, height }, [pixels.buffer], onProgress,
    );
    signal?.throwIfAborted();
    const { preprocess, canonical_focal_px: canonical } = known;
    const values = restoreMap(preprocess, answer.values, ...answer.size, width, height);
    const map = { values, width, height, kind: known.kind, model, licence: known.licence, fovDeg };
    if (canonical !== null && fovDeg !== null) {
      const focal = width / 2 / Math.tan((fovDeg * Math.PI) / 360);
      const scale = (focal * answer.inputHeight) / height / canonical;
      for (let i = 0; i < values.length; i++) values[i] *= scale;
      map.kind = "metric_depth";
    }
    return new DepthMap({ ...map, lens: fovDeg === null ? null : "given",
      seconds: answer.seconds });
  }
}
