// Two clicks on the photo and the distance between them.

import { formatMetres } from "../depth_map.mjs";
import { make, makeButton, makeGroup } from "../dom.mjs";
import { numberOrNull } from "../hash.mjs";
import { measureBetween } from "../scene.mjs";
import { drawPicture, Stage } from "../stage.mjs";

const USUAL_ERROR = 0.3; // of the embedded metric models on pictures of other datasets
const SVG = "http://www.w3.org/2000/svg";

export class MeasureView {
  constructor(app, panel, side) {
    this.app = app;
    this.stage = new Stage(panel, {
      tabindex: "0", role: "group",
      "aria-label": "Photo to measure in. Arrow keys move the pointer, Enter sets a point.",
    });
    this.photo = make("canvas", { role: "img", "aria-label": "Photo" });
    this.marks = document.createElementNS(SVG, "svg");
    this.marks.setAttribute("aria-hidden", "true");
    this.stage.box.append(this.photo, this.marks);
    this.stage.box.style.cursor = "crosshair";
    this.stage.box.addEventListener("click", (event) => this.place(this.stage.locate(event)));
    this.stage.root.addEventListener("keydown", (event) => this.moveByKey(event));
    this.result = make("p", { class: "result", "aria-live": "polite" });
    this.note = make("p", { class: "note" });
    this.again = makeButton("Measure again", () => this.clear());
    side.append(makeGroup("Distance", this.result, this.note, this.again));
  }

  get points() {
    const { x1, y1, x2, y2 } = this.app.state;
    return [[x1, y1], [x2, y2]].map((pair) => pair.map(numberOrNull))
      .filter(([x, y]) => x !== null && y !== null);
  }

  clear() {
    this.app.set({ x1: "", y1: "", x2: "", y2: "" });
  }

  place([u, v]) {
    const at = [u, v].map((share) => share.toFixed(4));
    if (this.points.length === 1) this.app.set({ x2: at[0], y2: at[1] });
    else this.app.set({ x1: at[0], y1: at[1], x2: "", y2: "" });
  }

  moveByKey(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
      [event.key];
    this.at ??= [0.5, 0.5];
    if (step) {
      const clip = (share) => Math.min(0.999, Math.max(0, share));
      this.at = this.at.map((share, i) => clip(share + 0.02 * step[i]));
      this.draw();
    } else if (event.key === "Enter" || event.key === " ") {
      this.place(this.at);
    } else {
      return;
    }
    event.preventDefault();
  }

  showPicture() {
    const { picture } = this.app;
    this.stage.setAspect(picture.width / picture.height);
    drawPicture(this.photo, picture);
    this.marks.setAttribute("viewBox", `0 0 ${picture.width} ${picture.height}`);
    this.draw();
  }

  show() {
    this.showPicture();
  }

  refresh() {
    this.draw();
  }

  draw() {
    const { picture, map } = this.app;
    const places = this.points.map(([u, v]) => [u * picture.width, v * picture.height]);
    const size = picture.width / this.stage.box.clientWidth || 1;
    const line = places.length === 2 ? [drawLine(places, size)] : [];
    const cursor = this.at ? [drawCross(this.at[0] * picture.width, this.at[1] * picture.height,
      size)] : [];
    this.marks.replaceChildren(...line, ...places.map(([x, y]) => drawRing(x, y, size)), ...cursor);
    this.again.hidden = places.length === 0;
    if (map) this.explain(map, places);
  }

  explain(map, places) {
    if (!map.isMetric) {
      this.result.textContent = "No metres";
      this.note.textContent = map.isDepth
        ? "The photo does not say its lens, so this map is right up to one scale. Set the field " +
          "of view above to measure in metres."
        : `${map.model} tells what is nearer, not how far. Choose a model that gives metres ` +
          "(lite-metric) to measure.";
      return;
    }
    if (places.length < 2) {
      this.result.textContent = places.length ? "One more point" : "Click two points";
      this.note.textContent = "The straight distance between them in space is shown here.";
      return;
    }
    const metres = measureBetween(map, this.app.shownFov, ...places);
    this.result.textContent = formatMetres(metres);
    const [low, high] = [metres * (1 - USUAL_ERROR), metres * (1 + USUAL_ERROR)];
    const lens = map.lens === "exif" ? "the lens of the photo's EXIF" : "the lens that you set";
    this.note.textContent = Number.isFinite(metres)
      ? `Between ${formatMetres(low)} and ${formatMetres(high)}: models like ${map.model} are ` +
        `usually off by ${100 * USUAL_ERROR} %. With ${lens}.`
      : "One of the points has no value.";
  }
}

function drawShape(name, attributes) {
  const shape = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, `${value}`);
  return shape;
}

function drawLine([[x1, y1], [x2, y2]], size) {
  const group = drawShape("g", {});
  for (const [stroke, width] of [["#0a0f10", 5], ["#fff", 2.5]]) {
    group.append(drawShape("line", { x1, y1, x2, y2, stroke, "stroke-width": width * size }));
  }
  return group;
}

function drawRing(cx, cy, size) {
  return drawShape("circle", {
    cx, cy, r: 7 * size, fill: "#0b6b78", stroke: "#fff", "stroke-width": 2.5 * size,
  });
}

function drawCross(x, y, size) {
  const r = 10 * size;
  return drawShape("path", {
    d: `M${x - r} ${y}h${2 * r}M${x} ${y - r}v${2 * r}`, stroke: "#fff", "stroke-width": 2 * size,
  });
}
