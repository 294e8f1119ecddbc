// A film's depth, frame by frame, as a film.

import { make, makeButton, makeGroup, makeSelect, saveBlob } from "../dom.mjs";
import { takePicture } from "../picture.mjs";
import { Stage } from "../stage.mjs";
import { writeWebm } from "../webm.mjs";
import { paintMap } from "./depth.mjs";

const LONG_SIDE = 960;
const KEEP = 0.85; // of the last frame's range of colours, against flicker

export class FilmView {
  constructor(app, panel, side) {
    this.app = app;
    this.stage = new Stage(panel);
    this.canvas = make("canvas", { role: "img", "aria-label": "Depth of the film", hidden: true });
    this.video = make("video", { muted: true, playsInline: true, hidden: true });
    this.result = make("video", {
      controls: true, loop: true, muted: true, playsInline: true, hidden: true,
      "aria-label": "Depth film",
    });
    this.stage.box.append(this.canvas, this.result);
    this.input = make("input", {
      type: "file", accept: "video/*", hidden: true, "aria-label": "Film",
      onchange: ({ target }) => target.files[0] && this.load(target.files[0]),
    });
    this.empty = make("div", { class: "empty" },
      make("p", {}, "Choose a short film. Every frame gets its depth, and you get a film back."),
      makeButton("Choose a film", () => this.input.click(), { class: "primary" }), this.input);
    this.stage.root.append(this.empty);
    this.buildSide(side);
  }

  buildSide(side) {
    const { app } = this;
    this.rate = makeSelect({
      label: "Frames a second", value: "12", onchange: () => {},
      options: [["6", "6"], ["12", "12"], ["24", "24"]],
    });
    this.model = makeSelect({
      label: "Model", value: app.state.model, onchange: (model) => app.set({ model }),
      options: app.backend.models.map(({ name }) => [name, name]),
    });
    this.start = makeButton("Compute depth", () => this.run(), { class: "primary" });
    this.stop = makeButton("Cancel", () => this.running?.abort(), { hidden: true });
    this.bar = make("progress", { max: "1", value: "0", hidden: true, "aria-label": "Film" });
    this.note = make("p", { class: "note", "aria-live": "polite" },
      "Frames are computed one after the other, in colours that follow the film slowly.");
    this.save = makeButton("Download WebM", () => saveBlob(this.blob, `${this.name}.depth.webm`),
      { hidden: true });
    this.group = makeGroup("Film", this.model.root, this.rate.root,
      make("div", { class: "row" }, this.start, this.stop), this.bar, this.note, this.save);
    this.start.disabled = true;
    side.append(this.group);
  }

  show() {
    this.model.select.value = this.app.state.model;
  }

  leave() {
    this.result.pause();
  }

  async load(file) {
    this.running?.abort();
    this.name = file.name.replace(/\.[^.]*$/, "");
    this.video.src = URL.createObjectURL(file);
    try {
      await new Promise((resolve, reject) => {
        this.video.onloadeddata = resolve;
        this.video.onerror = () => reject(new Error(`${file.name} cannot be played here; ` +
          "MP4 with H.264 and WebM work in most browsers."));
      });
    } catch (error) {
      this.app.fail(error);
      return;
    }
    this.empty.hidden = true;
    this.start.disabled = this.canvas.hidden = false;
    this.result.hidden = this.save.hidden = true;
    const { videoWidth, videoHeight, duration } = this.video;
    const scale = Math.min(1, LONG_SIDE / Math.max(videoWidth, videoHeight));
    this.size = [videoWidth, videoHeight].map((side) => 2 * Math.round((side * scale) / 2));
    this.stage.setAspect(this.size[0] / this.size[1]);
    [this.canvas.width, this.canvas.height] = this.size;
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, ...this.size);
    this.note.textContent = `${videoWidth} × ${videoHeight}, ${duration.toFixed(1)} s.`;
  }

  async seek(seconds) {
    const sought = new Promise((resolve) => { this.video.onseeked = resolve; });
    this.video.currentTime = seconds;
    await sought;
  }

  async run() {
    if (!("VideoEncoder" in window)) {
      this.app.fail(new Error("This browser cannot write films; a newer one can."));
      return;
    }
    this.running = new AbortController();
    this.setRunning(true);
    try {
      this.blob = await this.encode(this.running.signal);
      this.canvas.hidden = true;
      this.result.hidden = this.save.hidden = false;
      this.result.src = URL.createObjectURL(this.blob);
      this.result.play().catch(() => {});
      this.note.textContent = "Done.";
    } catch (error) {
      if (this.running.signal.aborted) this.note.textContent = "Cancelled.";
      else this.app.fail(error);
    }
    this.setRunning(false);
  }

  setRunning(isOn) {
    this.start.hidden = isOn;
    this.stop.hidden = this.bar.hidden = !isOn;
    this.bar.value = 0;
    if (isOn) this.result.hidden = this.save.hidden = true;
    if (isOn) this.canvas.hidden = false;
  }

  async encode(signal) {
    const [width, height] = this.size;
    const frames = [];
    let fault = null;
    const encoder = new VideoEncoder({
      output: (chunk) => {
        const data = new Uint8Array(chunk.byteLength);
        chunk.copyTo(data);
        frames.push({ ms: Math.round(chunk.timestamp / 1000), isKey: chunk.type === "key", data });
      },
      error: (error) => { fault = error; },
    });
    encoder.configure({ codec: "vp8", width, height, bitrate: 4_000_000 });
    const rate = +this.rate.select.value;
    const count = Math.max(1, Math.floor(this.video.duration * rate));
    for (let i = 0; i < count; i++) {
      await this.computeFrame(i / rate, signal);
      const frame = new VideoFrame(this.canvas, { timestamp: Math.round((1e6 * i) / rate) });
      encoder.encode(frame, { keyFrame: i % (4 * rate) === 0 });
      frame.close();
      if (fault) throw fault;
      this.bar.value = (i + 1) / count;
      this.note.textContent = `Frame ${i + 1} of ${count}`;
    }
    await encoder.flush();
    encoder.close();
    const durationMs = (1000 * count) / rate;
    return writeWebm(frames, { width, height, codec: "V_VP8", durationMs });
  }

  /** The depth of one moment, in colours that follow the film slowly. */
  async computeFrame(seconds, signal) {
    signal.throwIfAborted();
    if (seconds === 0) this.limits = null;
    await this.seek(seconds);
    const picture = await takePicture(this.video, ...this.size, "frame.jpg");
    const map = await this.app.backend.predict(picture, { model: this.app.state.model, signal });
    signal.throwIfAborted();
    const now = map.limits(null, null);
    const last = this.limits ?? now;
    this.limits = now.map((limit, i) => KEEP * last[i] + (1 - KEEP) * limit);
    paintMap(this.canvas, map, this.app.state, this.limits);
  }
}
