// Two photos of one place: matches, epipolar lines, and points in space.

import { makeTable } from "../colormaps.mjs";
import { make, makeButton, makeGroup, makeSegments, makeSlider, saveBlob } from "../dom.mjs";
import { writeGlb, writePly } from "../files.mjs";
import { openPicture } from "../picture.mjs";

const SVG = "http://www.w3.org/2000/svg";
const SHOWN = 24;
const USUAL_FOV = 60;
const SIDES = ["left", "right"];

function draw(name, attributes) {
  const shape = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, `${value}`);
  return shape;
}

export class PairView {
  constructor(app, panel, side) {
    this.app = app;
    this.pictures = {};
    this.fov = null;
    if (!app.backend.can.includes("pair")) return this.refuse(panel, side);
    this.slots = Object.fromEntries(SIDES.map((name) => [name, this.makeSlot(name)]));
    this.pair = make("div", { class: "pair" }, ...SIDES.map((name) => this.slots[name].root));
    this.element = make("div", { class: "view3d", hidden: true });
    panel.append(make("div", { class: "stage" }, this.pair, this.element));
    this.buildSide(side);
  }

  refuse(panel, side) {
    panel.append(make("div", { class: "stage" }, make("div", { class: "empty" }, make("p", {},
      "Matching two photos needs Leadline's server: run leadline serve on your computer."))));
    side.append(makeGroup("Two photos", make("p", { class: "note" },
      "This page runs without a server.")));
  }

  makeSlot(name) {
    const image = make("canvas", { role: "img", "aria-label": `The ${name} photo`, hidden: true });
    const marks = draw("svg", { "aria-hidden": "true" });
    const input = make("input", {
      type: "file", accept: "image/*", hidden: true, "aria-label": `The ${name} photo`,
      onchange: ({ target }) => target.files[0] && this.load(name, target.files[0]),
    });
    const button = makeButton(`Choose the ${name} photo`, () => input.click(),
      { class: "primary" });
    const box = make("div", { class: "fit" }, image, marks);
    return { image, marks, button, root: make("figure", {}, box, button, input) };
  }

  buildSide(side) {
    this.mode = makeSegments({
      label: "Shown", name: "pairmode", value: "lines",
      options: [["lines", "Lines"], ["points", "3-D points"]],
      onchange: (mode) => this.showMode(mode),
    });
    this.lens = makeSlider({
      label: "Field of view", min: 20, max: 120, step: 1, value: USUAL_FOV,
      show: (fov) => (this.fov === null ? "of the photos" : `${fov}°`),
      onchange: (fov) => {
        this.fov = fov;
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.run(), 400);
      },
    });
    this.result = make("p", { class: "result", "aria-live": "polite" });
    this.note = make("p", { class: "note" },
      "Choose two photos of one place, taken a step apart. What both show is matched; a point of " +
      "one lies on the line of its colour in the other.");
    this.save = makeButton("Point cloud (PLY)", () => saveBlob(writePly(this.scene), "pair.ply"),
      { class: "primary", hidden: true });
    this.swap = makeButton("Other photos", () => this.reset(), { hidden: true });
    side.append(makeGroup("Two photos", this.result, this.note, this.mode.root, this.lens.root,
      make("div", { class: "row" }, this.save, this.swap)));
    this.mode.root.hidden = this.lens.root.hidden = true;
  }

  show() {}

  reset() {
    this.pictures = {};
    for (const { image, marks, button } of Object.values(this.slots)) {
      image.hidden = true;
      button.hidden = false;
      marks.replaceChildren();
    }
    this.result.textContent = "";
    this.mode.root.hidden = this.lens.root.hidden = this.save.hidden = this.swap.hidden = true;
    this.showMode("lines");
    this.mode.choose("lines");
  }

  async load(name, file) {
    this.app.fail(null);
    try {
      this.pictures[name] = await openPicture(file, file.name);
    } catch (error) {
      this.app.fail(error);
      return;
    }
    const { image, button, marks } = this.slots[name];
    const { width, height, bitmap } = this.pictures[name];
    [image.width, image.height] = [width, height];
    image.getContext("2d").drawImage(bitmap, 0, 0);
    marks.setAttribute("viewBox", `0 0 ${width} ${height}`);
    image.hidden = false;
    button.hidden = true;
    if (SIDES.every((side) => this.pictures[side])) await this.run();
  }

  async run() {
    const { left, right } = this.pictures;
    const knowsLens = left.fovDeg !== null && right.fovDeg !== null;
    if (!knowsLens && this.fov === null) this.fov = USUAL_FOV;
    this.app.say({ text: "Matching the photos", share: null });
    try {
      this.found = await this.app.backend.pair(left, right, { fov: this.fov });
    } catch (error) {
      this.app.fail(error);
      return;
    } finally {
      this.app.say(null);
    }
    this.explain();
    this.drawLines();
    this.buildScene();
  }

  explain() {
    const { matches, inliers, points, why_no_points: why } = this.found;
    this.result.textContent = `${inliers} of ${matches} agree`;
    const assumed = this.fov === null ? "" : ` The lens is taken to see ${this.fov}°.`;
    this.note.textContent = points
      ? `${points.xyz.length} points in space, in distances between both cameras.${assumed}`
      : why;
    this.lens.set(this.fov ?? USUAL_FOV);
    this.lens.root.hidden = this.swap.hidden = false;
    this.mode.root.hidden = this.save.hidden = !points;
  }

  /** Some matches far from each other, each in its colour with its line in the other photo. */
  drawLines() {
    const { left } = this.found;
    const order = left.points.map((_, i) => i).sort((a, b) => left.points[a][0] - left.points[b][0]);
    const step = Math.max(1, order.length / SHOWN);
    const rows = Array.from({ length: Math.min(SHOWN, order.length) },
      (_, k) => order[Math.floor(k * step)]);
    const table = makeTable("turbo");
    for (const name of SIDES) {
      const { points, lines, width } = this.found[name];
      const size = width / 500;
      const shapes = rows.flatMap((row, k) => {
        const at = 3 * Math.round((255 * (k + 0.5)) / rows.length);
        const color = `rgb(${table[at]} ${table[at + 1]} ${table[at + 2]})`;
        const [cx, cy] = points[row];
        const [a, b] = lines[row] ?? [];
        const shown = a && [a, b].flat().every(Number.isFinite);
        return [
          ...(shown ? [draw("line", {
            x1: a[0], y1: a[1], x2: b[0], y2: b[1], stroke: color, "stroke-width": 1.3 * size,
          })] : []),
          draw("circle", {
            cx, cy, r: 5 * size, fill: color, stroke: "#0a0f10", "stroke-width": 1.2 * size,
          }),
        ];
      });
      this.slots[name].marks.replaceChildren(...shapes);
    }
  }

  buildScene() {
    const { points } = this.found;
    this.scene = null;
    if (!points) return;
    const positions = Float32Array.from(points.xyz.flatMap(([x, y, z]) => [x, -y, -z]));
    this.scene = {
      positions, colors: Uint8Array.from(points.rgb.flat()),
      loose: Uint32Array.from(points.xyz.keys()),
    };
  }

  async showMode(mode) {
    this.pair.hidden = mode === "points";
    this.element.hidden = mode !== "points";
    if (mode !== "points" || !this.scene) return;
    const { openViewer } = await import("../viewer.js");
    const { width, height } = this.found.left;
    const lens = { fovDeg: this.fov ?? USUAL_FOV, aspect: width / height };
    const buffer = await writeGlb(this.scene, "points", lens).arrayBuffer();
    this.viewer?.dispose();
    this.viewer = await openViewer(this.element, buffer, { bare: true });
  }
}
