// Photo and depth under a slider; colours, range, histogram, values, downloads.

import { CMAPS, colorize, makeGradient } from "../colormaps.mjs";
import { make, makeButton, makeCheck, makeGroup, makeSelect, oncePerFrame, saveBlob }
  from "../dom.mjs";
import { writeNpy, writeNpz, writePfm, writePng16 } from "../files.mjs";
import { numberOrNull } from "../hash.mjs";
import { drawPicture, Stage } from "../stage.mjs";

/** Colour a map onto a canvas with the page's settings. */
export function paintMap(canvas, map, state, limits = null) {
  canvas.width = map.width;
  canvas.height = map.height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(map.width, map.height);
  const chosen = limits ?? map.limits(numberOrNull(state.low), numberOrNull(state.high));
  colorize(map.nearness, chosen, state.cmap, Boolean(state.invert), image.data);
  context.putImageData(image, 0, 0);
}

export class DepthView {
  constructor(app, panel, side) {
    this.app = app;
    this.stage = new Stage(panel, {
      tabindex: "0", role: "group", "aria-label": "Photo and depth. Arrow keys move the probe.",
    });
    this.photo = make("canvas", { role: "img", "aria-label": "Photo" });
    this.depth = make("canvas", { role: "img", "aria-label": "Depth map" });
    this.divider = make("div", {
      class: "divider", role: "slider", tabindex: "0", "aria-label": "Photo or depth",
      "aria-valuemin": "0", "aria-valuemax": "100",
    });
    this.probe = make("div", { class: "probe", hidden: true, "aria-live": "polite" });
    this.tags = make("div", {}, make("span", { class: "tag left" }, "Photo"),
      make("span", { class: "tag right" }, "Depth"));
    this.stage.box.append(this.photo, this.depth, this.tags, this.divider, this.probe);
    this.paint = oncePerFrame(() => this.app.map && paintMap(this.depth, this.app.map, app.state));
    this.listen();
    this.buildSide(side);
  }

  listen() {
    const { root } = this.stage;
    root.addEventListener("pointermove", (event) => this.probeAt(this.stage.locate(event)));
    root.addEventListener("pointerdown", (event) => this.probeAt(this.stage.locate(event)));
    root.addEventListener("pointerleave", () => { this.probe.hidden = true; });
    root.addEventListener("keydown", (event) => this.moveProbe(event));
    this.divider.addEventListener("pointerdown", (event) => {
      this.divider.setPointerCapture(event.pointerId);
    });
    this.divider.addEventListener("pointermove", (event) => {
      if (!this.divider.hasPointerCapture(event.pointerId)) return;
      this.app.set({ split: Math.round(1000 * this.stage.locate(event)[0]) / 10 });
    });
    this.divider.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -5, ArrowRight: 5, Home: -100, End: 100 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      this.app.set({ split: Math.min(100, Math.max(0, this.app.state.split + step)) });
    });
  }

  buildSide(side) {
    const { state } = this.app;
    this.meaning = make("p", { class: "note" });
    this.cmap = makeSelect({
      label: "Colours", options: CMAPS.map((name) => [name, name]), value: state.cmap,
      onchange: (cmap) => this.app.set({ cmap }),
    });
    this.invert = makeCheck({
      label: "Invert", checked: Boolean(state.invert),
      onchange: (isOn) => this.app.set({ invert: +isOn }),
    });
    this.bars = make("canvas", { role: "img", "aria-label": "Histogram of the map" });
    this.ramp = make("div", { class: "ramp" });
    const handle = (key, label) => make("input", {
      type: "range", min: "0", max: "1000", "aria-label": label,
      oninput: ({ target }) => this.moveLimit(key, +target.value / 1000),
    });
    this.low = handle("low", "Farthest colour");
    this.high = handle("high", "Nearest colour");
    this.ticks = make("div", { class: "ticks" });
    const reset = makeButton("Whole range again", () => this.app.set({ low: "", high: "" }));
    const formats = [
      ["Picture", "Colours as PNG", () => this.saveColors()],
      ["16-bit PNG", "Values in 16 bits with their record", () => this.save("depth.png", writePng16)],
      ["NPZ", "Values and camera for numpy", () => this.save("npz", writeNpz)],
      ["NPY", "Values for numpy", () => this.save("npy", writeNpy)],
      ["PFM", "Values as 32-bit floats", () => this.save("pfm", writePfm)],
      ["Side by side", "Photo beside depth", () => this.saveSide()],
    ];
    side.append(
      makeGroup("Colours", this.meaning, this.cmap.root,
        make("div", { class: "histogram" }, this.bars, this.ramp,
          make("div", { class: "range" }, this.low, this.high), this.ticks),
        make("div", { class: "row" }, this.invert.root, reset)),
      makeGroup("Download", make("div", { class: "row" }, ...formats.map(
        ([text, title, work]) => makeButton(text, work, { title })))),
    );
  }

  moveLimit(key, share) {
    const other = key === "low" ? +this.high.value / 1000 : +this.low.value / 1000;
    const value = key === "low" ? Math.min(share, other - 0.01) : Math.max(share, other + 0.01);
    this.app.set({ [key]: `${Math.round(1000 * value) / 1000}` });
  }

  showPicture() {
    const { picture } = this.app;
    this.stage.setAspect(picture.width / picture.height);
    drawPicture(this.photo, picture);
    this.depth.hidden = this.divider.hidden = this.tags.hidden = true;
  }

  show() {
    this.showPicture();
    this.depth.hidden = this.divider.hidden = this.tags.hidden = false;
    this.refresh({});
  }

  refresh(change) {
    const { map, state } = this.app;
    if (!map) return;
    this.depth.style.clipPath = `inset(0 0 0 ${state.split}%)`;
    this.divider.style.left = `${state.split}%`;
    this.divider.setAttribute("aria-valuenow", `${Math.round(state.split)}`);
    if (Object.keys(change).length === 1 && "split" in change) return;
    this.paint();
    this.drawLegend();
  }

  drawLegend() {
    const { map, state } = this.app;
    const [low, high] = map.limits(numberOrNull(state.low), numberOrNull(state.high));
    this.meaning.textContent = `${map.model}: ${map.meaning}${map.isMetric ? "" : " (relative)"}.`;
    this.cmap.select.value = state.cmap;
    this.invert.input.checked = Boolean(state.invert);
    const [from, to] = [map.shareOf(low), map.shareOf(high)];
    this.low.value = `${1000 * from}`;
    this.high.value = `${1000 * to}`;
    this.ramp.style.background = makeGradient(state.cmap, Boolean(state.invert));
    const texts = map.isMetric
      ? [low, (low + high) / 2, high].map((near) => map.describe(map.valueOf(near)))
      : ["far", "relative", "near"];
    this.ticks.replaceChildren(...texts.map((text) => make("span", {}, text)));
    this.drawBars(from, to);
  }

  drawBars(from, to) {
    const { map } = this.app;
    const counts = new Float32Array(80);
    for (const near of map.sorted) counts[Math.min(79, Math.floor(80 * map.shareOf(near)))]++;
    counts[0] = Math.min(counts[0], counts[1] * 2 + 1); // outliers gather in the last bars
    counts[79] = Math.min(counts[79], counts[78] * 2 + 1);
    const most = Math.max(...counts);
    const [width, height] = [(this.bars.width = 640), (this.bars.height = 152)];
    const context = this.bars.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const step = (width - 32) / 80;
    counts.forEach((count, i) => {
      const isIn = i / 80 >= from - 0.013 && i / 80 <= to;
      context.fillStyle = style.getPropertyValue(isIn ? "--accent" : "--line");
      const tall = (count / most) * (height - 8);
      context.fillRect(16 + i * step, height - tall, step - 1, tall);
    });
  }

  probeAt([u, v]) {
    const { map } = this.app;
    if (!map) return;
    this.at = [u, v];
    this.probe.hidden = false;
    this.probe.classList.toggle("below", v < 0.12);
    this.probe.style.left = `${100 * u}%`;
    this.probe.style.top = `${100 * v}%`;
    this.probe.textContent = map.describe(map.valueAt(u * map.width, v * map.height));
  }

  moveProbe(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
      [event.key];
    if (step === undefined || event.target !== this.stage.root) return;
    event.preventDefault();
    const [u, v] = this.at ?? [0.5, 0.5];
    const move = (share, by) => Math.min(0.999, Math.max(0, share + 0.02 * by));
    this.probeAt([move(u, step[0]), move(v, step[1])]);
  }

  async save(suffix, write) {
    saveBlob(await write(this.app.map), `${this.app.picture.stem}.${suffix}`);
  }

  saveColors() {
    this.depth.toBlob((blob) => saveBlob(blob, `${this.app.picture.stem}.color.png`));
  }

  async saveSide() {
    const { width, height } = this.depth;
    const canvas = new OffscreenCanvas(2 * width + 8, height);
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, height);
    context.drawImage(this.photo, 0, 0);
    context.drawImage(this.depth, width + 8, 0);
    saveBlob(await canvas.convertToBlob(), `${this.app.picture.stem}.side.png`);
  }
}
