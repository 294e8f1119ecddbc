// Points or a mesh to turn; what is shown can be downloaded.

import { make, makeButton, makeGroup, makeSegments, makeSlider, oncePerFrame, saveBlob }
  from "../dom.mjs";
import { writeGlb, writePly } from "../files.mjs";
import { buildScene } from "../scene.mjs";

export class SceneView {
  constructor(app, panel, side) {
    this.app = app;
    this.canvas = make("canvas", {
      class: "view3d", tabindex: "0", role: "img",
      "aria-label": "The photo in 3-D. Arrow keys turn it, plus and minus zoom.",
    });
    this.hint = make("div", { class: "hint" }, make("span", {}, "Drag to turn · scroll to zoom"));
    panel.append(make("div", { class: "stage" }, this.canvas, this.hint));
    this.canvas.addEventListener("pointerdown", () => { this.hint.hidden = true; });
    this.build = oncePerFrame((isNew) => this.rebuild(isNew));
    this.buildSide(side);
  }

  buildSide(side) {
    const { state } = this.app;
    const slide = (key, label, max, show, extra = {}) => makeSlider({
      label, min: 0, max, step: 1, value: state[key], show,
      onchange: (value) => this.app.set({ [key]: value }), ...extra,
    });
    this.mode = makeSegments({
      label: "Shown as", name: "mode", options: [["mesh", "Surface"], ["points", "Points"]],
      value: state.mode, onchange: (mode) => this.app.set({ mode }),
    });
    this.edge = slide("edge", "Cut at edges", 100, (value) => (value ? `${value} %` : "off"));
    this.far = slide("far", "Cut the far (sky)", 100,
      (value) => (value < 100 ? `nearest ${value} %` : "off"), { min: 20 });
    this.size = slide("size", "Size of points", 8, (value) => `${value} px`, { min: 1 });
    this.relief = slide("relief", "Relief", 100, (value) => `${value}`);
    this.note = make("p", { class: "note" });
    side.append(
      makeGroup("Shape", this.mode.root, this.edge.root, this.far.root, this.size.root,
        this.relief.root, this.note,
        makeButton("Look from the front", () => this.frame())),
      makeGroup("Download", make("div", { class: "row" },
        makeButton("GLB", () => this.saveGlb(), { title: "What is shown, for 3-D programs" }),
        makeButton("Point cloud (PLY)", () => this.savePly(), { class: "primary" }))),
    );
  }

  async show() {
    if (!this.viewer) {
      const { Viewer } = await import("../viewer.mjs");
      try {
        this.viewer ??= new Viewer(this.canvas);
      } catch {
        this.app.fail(new Error("This browser offers no WebGL, so nothing can be shown in 3-D; " +
          "the point cloud can be downloaded all the same."));
      }
    }
    this.build(this.map !== this.app.map);
  }

  refresh(change) {
    if ("size" in change) this.viewer?.setPointSize(change.size);
    else this.build(false);
  }

  rebuild(isNew) {
    const { map, picture, state, shownFov } = this.app;
    if (!map) return;
    this.map = map;
    this.scene = buildScene(map, picture.pixels, { ...state, fovDeg: shownFov });
    this.viewer?.show(this.scene, picture.bitmap, state.mode);
    this.viewer?.setPointSize(state.size);
    if (isNew) this.frame();
    this.mode.choose(state.mode);
    this.size.root.hidden = state.mode !== "points";
    this.relief.root.hidden = map.isDepth;
    this.note.replaceChildren(...this.explain());
    this.canvas.dataset.points = `${this.scene.loose.length}`;
  }

  explain() {
    const { map, fovDeg } = this.app;
    const count = this.scene.loose.length.toLocaleString("en");
    if (map.isMetric) return [`${count} points in metres.`];
    if (map.isDepth) {
      const lens = fovDeg === null ? " A lens of 60° is assumed." : "";
      return [`${count} points without a unit.${lens}`];
    }
    const better = this.app.backend.models.find(({ name, kind }) =>
      name.includes("metric") || kind === "metric_depth");
    const note = make("span", {}, make("strong", {}, "This is a relief, not a measured shape: "),
      `${map.model} knows what is nearer, not how far. `);
    if (better) {
      note.append(makeButton(`Use ${better.name}`, () => {
        this.app.set({ model: better.name, low: "", high: "" });
        this.app.predict();
      }));
    }
    return [note];
  }

  frame() {
    const { picture, shownFov } = this.app;
    this.viewer?.frame(this.scene, shownFov, picture.width / picture.height);
  }

  async saveGlb() {
    const { picture, state } = this.app;
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    canvas.getContext("2d").drawImage(picture.bitmap, 0, 0);
    const photo = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
    const bytes = new Uint8Array(await photo.arrayBuffer());
    saveBlob(writeGlb(this.scene, state.mode, bytes), `${picture.stem}.glb`);
  }

  savePly() {
    saveBlob(writePly(this.scene), `${this.app.picture.stem}.ply`);
  }
}
