// Points or a mesh to turn; what is shown can be downloaded.

import { make, makeButton, makeGroup, makeSegments, makeSlider, oncePerFrame, saveBlob }
  from "../dom.mjs";
import { writeGlb, writePly } from "../files.mjs";
import { buildScene } from "../scene.mjs";

export class SceneView {
  constructor(app, panel, side) {
    this.app = app;
    this.element = make("div", { class: "view3d" });
    this.hint = make("div", { class: "hint" }, make("span", {}, "Drag to turn · scroll or pinch to zoom"));
    panel.append(make("div", { class: "stage" }, this.element, this.hint));
    this.element.addEventListener("pointerdown", () => { this.hint.hidden = true; });
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
    this.relief = slide("relief", "Relief", 100, (value) => `${value}`);
    this.note = make("p", { class: "note" });
    side.append(
      makeGroup("Shape", this.mode.root, this.edge.root, this.far.root,
        this.relief.root, this.note),
      makeGroup("Download", make("div", { class: "row" },
        makeButton("GLB", () => this.saveGlb(), { title: "What is shown, for 3-D programs" }),
        makeButton("Point cloud (PLY)", () => this.savePly(), { class: "primary" }))),
    );
  }

  show() {
    this.build(this.map !== this.app.map);
  }

  refresh() {
    this.build(false);
  }

  async rebuild(isNew) {
    const { map, picture, state, shownFov } = this.app;
    if (!map) return;
    if (this.picture !== picture) this.photo = null;
    Object.assign(this, { map, picture });
    if (isNew) this.app.say({ text: "Building the scene", share: null });
    this.scene = buildScene(map, picture.pixels, { ...state, fovDeg: shownFov });
    this.mode.choose(state.mode);
    this.relief.root.hidden = map.isDepth;
    this.note.replaceChildren(...this.explain());
    this.glb = writeGlb(this.scene, state.mode, this.lens, await this.encodePhoto());
    await this.draw(isNew);
    if (isNew) this.app.say(null);
    this.element.dataset.points = `${this.scene.loose.length}`;
  }

  get lens() {
    const { picture, shownFov } = this.app;
    return { fovDeg: shownFov, aspect: picture.width / picture.height };
  }

  /** Show the newest shape; from the photo's place where it is another photo or model. */
  async draw(isNew) {
    const buffer = await this.glb.arrayBuffer();
    if (this.viewer && !isNew) return (await this.viewer).view.replace(buffer);
    const { openViewer } = await import("../viewer.js");
    try {
      (await this.viewer)?.dispose();
      this.viewer = openViewer(this.element, buffer, { bare: true });
      (await this.viewer).view.look(7, 4);
    } catch {
      this.viewer = null;
      this.app.fail(new Error("This browser offers no WebGL, so nothing can be shown in 3-D; " +
        "the point cloud can be downloaded all the same."));
    }
  }

  /** The photo as JPEG, encoded once. */
  async encodePhoto() {
    if (!this.photo) {
      const { picture } = this.app;
      const canvas = new OffscreenCanvas(picture.width, picture.height);
      canvas.getContext("2d").drawImage(picture.bitmap, 0, 0);
      const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
      this.photo = new Uint8Array(await blob.arrayBuffer());
    }
    return this.photo;
  }

  explain() {
    const { map, fovDeg } = this.app;
    const count = this.scene.loose.length.toLocaleString("en");
    if (map.isMetric) return [`${count} points in metres.`];
    if (map.isDepth) {
      const lens = fovDeg === null ? " A lens of 60° is assumed." : "";
      return [`${count} points without a unit.${lens}`];
    }
    const better = this.app.backend.models.find(({ kind, needsLens }) =>
      needsLens || kind === "metric_depth");
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

  saveGlb() {
    saveBlob(this.glb, `${this.app.picture.stem}.glb`);
  }

  savePly() {
    saveBlob(writePly(this.scene), `${this.app.picture.stem}.ply`);
  }
}
