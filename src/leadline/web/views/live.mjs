// The camera's depth as it runs.

import { make, makeButton, makeGroup, makeSelect } from "../dom.mjs";
import { takePicture } from "../picture.mjs";
import { Stage } from "../stage.mjs";
import { paintMap } from "./depth.mjs";

const LONG_SIDE = 640;

export class LiveView {
  constructor(app, panel, side) {
    this.app = app;
    this.stage = new Stage(panel);
    this.video = make("video", { muted: true, playsInline: true, autoplay: true });
    this.canvas = make("canvas", { role: "img", "aria-label": "Depth of the camera" });
    this.canvas.style.clipPath = "inset(0 0 0 50%)";
    this.stage.box.hidden = true;
    this.stage.box.append(this.video, this.canvas);
    this.empty = make("div", { class: "empty" },
      make("p", {}, `See depth live. ${app.backend.place}`),
      makeButton("Start the camera", () => this.start(), { class: "primary" }));
    this.stage.root.append(this.empty);
    this.model = makeSelect({
      label: "Model", value: app.state.model, onchange: (model) => app.set({ model }),
      options: app.backend.models.map(({ name }) => [name, name]),
    });
    this.note = make("p", { class: "note" });
    this.buttons = make("div", { class: "row" },
      makeButton("Take this picture", () => this.take(), { class: "primary" }),
      makeButton("Stop", () => this.leave()));
    this.buttons.hidden = true;
    side.append(makeGroup("Camera", this.model.root, this.note, this.buttons));
  }

  show() {
    this.model.select.value = this.app.state.model;
  }

  async start() {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "environment", width: { ideal: 1280 } },
      });
    } catch {
      this.app.fail(new Error("No camera can be used: there is none, it is not allowed for this " +
        "page, or the address is not https."));
      return;
    }
    this.video.srcObject = this.stream;
    await this.video.play();
    this.empty.hidden = true;
    this.stage.box.hidden = this.buttons.hidden = false;
    const { videoWidth, videoHeight } = this.video;
    this.stage.setAspect(videoWidth / videoHeight);
    const scale = Math.min(1, LONG_SIDE / Math.max(videoWidth, videoHeight));
    this.size = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    this.run(this.stream);
  }

  async run(stream) {
    let limits = null;
    let spent = 0;
    while (stream.active && stream === this.stream) {
      const start = performance.now();
      try {
        const picture = await takePicture(this.video, ...this.size, "camera.jpg");
        const map = await this.app.backend.predict(picture, { model: this.app.state.model });
        const now = map.limits(null, null);
        limits = limits === null ? now : limits.map((limit, i) => 0.8 * limit + 0.2 * now[i]);
        paintMap(this.canvas, map, this.app.state, limits);
        picture.bitmap.close();
      } catch (error) {
        this.app.fail(error);
        return this.leave();
      }
      const took = performance.now() - start;
      spent = spent ? 0.8 * spent + 0.2 * took : took;
      this.note.textContent = `${(1000 / spent).toFixed(1)} maps a second.`;
      await new Promise(requestAnimationFrame);
    }
  }

  async take() {
    const { videoWidth, videoHeight } = this.video;
    const { blob } = await takePicture(this.video, videoWidth, videoHeight, "camera.jpg");
    this.leave();
    await this.app.open(blob, "camera.jpg");
  }

  leave() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.empty.hidden = false;
    this.stage.box.hidden = this.buttons.hidden = true;
  }
}
