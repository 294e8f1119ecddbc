// Refocus, stereo and relief: pictures made of a photo and its depth.

import { make, makeButton, makeGroup, makeSegments, makeSlider, oncePerFrame, saveBlob }
  from "../dom.mjs";
import { drawRelief, drawStereo, prepareEffect, refocus, writeStl } from "../effects.mjs";
import { Stage } from "../stage.mjs";

export class StudioView {
  constructor(app, panel, side) {
    this.app = app;
    this.settings = {
      focus: 1, aperture: 35, strength: 40, plane: 50, angle: 135, relief: 30, deep: 12,
    };
    this.layout = "anaglyph";
    this.stage = new Stage(panel);
    this.canvas = make("canvas", { role: "img", "aria-label": "Picture made of photo and depth" });
    this.stage.box.append(this.canvas);
    this.canvas.addEventListener("click", (event) => this.focusAt(this.stage.locate(event)));
    this.draw = oncePerFrame(() => this.redraw());
    this.buildSide(side);
  }

  buildSide(side) {
    const slide = (key, label, min, max, show) => makeSlider({
      label, min, max, step: key === "focus" ? 0.01 : 1, value: this.settings[key], show,
      onchange: (value) => {
        this.settings[key] = value;
        this.draw();
      },
    });
    const percent = (value) => `${Math.round(value)} %`;
    this.focus = slide("focus", "In focus (or click the picture)", 0, 1,
      (value) => (value > 0.66 ? "near" : value > 0.33 ? "middle" : "far"));
    this.tool = makeSegments({
      label: "Tool", name: "tool", value: this.app.state.tool,
      options: [["refocus", "Refocus"], ["stereo", "Stereo"], ["relief", "Relief"]],
      onchange: (tool) => this.app.set({ tool }),
    });
    this.parts = {
      refocus: [this.focus.root, slide("aperture", "Blur", 0, 100, percent).root],
      stereo: [
        makeSegments({
          label: "Layout", name: "layout", value: this.layout,
          options: [["anaglyph", "Red-cyan"], ["side", "Side by side"]],
          onchange: (layout) => {
            this.layout = layout;
            this.draw();
          },
        }).root,
        slide("strength", "Strength", 0, 100, percent).root,
        slide("plane", "At the screen", 0, 100, (value) => (value > 50 ? "near" : "far")).root,
      ],
      relief: [
        slide("angle", "Lamp", 0, 360, (value) => `${value}°`).root,
        slide("relief", "Steepness", 5, 100, percent).root,
        slide("deep", "Height of the print", 2, 40, (value) => `${value} mm`).root,
        makeButton("Download STL", () =>
          saveBlob(writeStl(this.app.map, this.settings.deep), `${this.app.picture.stem}.stl`)),
      ],
    };
    const save = makeButton("Download picture", () => this.save(), { class: "primary" });
    side.append(makeGroup("Studio", this.tool.root, ...Object.values(this.parts).flat(), save));
  }

  focusAt([u, v]) {
    const { map, state } = this.app;
    if (!map || state.tool !== "refocus") return;
    const at = Math.floor(v * map.height) * map.width + Math.floor(u * map.width);
    this.settings.focus = map.shareOf(map.nearness[at]);
    this.focus.set(this.settings.focus);
    this.draw();
  }

  show() {
    const { map, picture } = this.app;
    if (this.map !== map) {
      this.map = map;
      this.work = prepareEffect(map, picture);
      this.settings.focus = map.shareOf(map.percentile(0.85));
      this.focus.set(this.settings.focus);
    }
    this.refresh();
  }

  refresh() {
    const { tool } = this.app.state;
    this.tool.choose(tool);
    for (const [name, parts] of Object.entries(this.parts)) {
      for (const part of parts) part.hidden = name !== tool;
    }
    this.canvas.style.cursor = tool === "refocus" ? "crosshair" : "default";
    this.draw();
  }

  redraw() {
    const { tool } = this.app.state;
    const { work, settings, canvas, layout } = this;
    if (!work) return;
    if (tool === "stereo") {
      drawStereo(canvas, work, { layout, ...settings });
    } else if (tool === "relief") {
      drawRelief(canvas, work, { angle: settings.angle, strength: settings.relief });
    } else {
      canvas.width = work.width;
      canvas.height = work.height;
      refocus(canvas.getContext("2d"), work, settings.focus, settings.aperture);
    }
    this.stage.setAspect(canvas.width / canvas.height);
  }

  save() {
    const { tool } = this.app.state;
    this.canvas.toBlob((blob) => saveBlob(blob, `${this.app.picture.stem}.${tool}.png`));
  }
}
