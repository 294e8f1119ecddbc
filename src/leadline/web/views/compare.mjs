// Two models side by side in the same colours.

import { make, makeGroup, makeSelect } from "../dom.mjs";
import { numberOrNull } from "../hash.mjs";
import { paintMap } from "./depth.mjs";

export class CompareView {
  constructor(app, panel, side) {
    this.app = app;
    this.figures = [0, 1].map(() => {
      const canvas = make("canvas", { role: "img", "aria-label": "Depth map" });
      const caption = make("figcaption", {});
      return { canvas, caption, root: make("figure", {}, canvas, caption) };
    });
    const pair = make("div", { class: "pair" }, ...this.figures.map(({ root }) => root));
    panel.append(make("div", { class: "stage" }, pair));
    this.other = makeSelect({
      label: "Second model", value: app.state.other,
      options: app.backend.models.map(({ name }) => [name, name]),
      onchange: (other) => {
        app.set({ other });
        this.show();
      },
    });
    this.result = make("p", { class: "result" });
    this.note = make("p", { class: "note" });
    side.append(makeGroup("Compared", this.other.root, this.result, this.note));
  }

  async show() {
    const { app } = this;
    const first = app.map;
    try {
      this.maps = [first, await app.compute(app.state.other)];
    } catch (error) {
      app.fail(error);
      return;
    } finally {
      app.say(null);
    }
    if (first === app.map) this.refresh();
  }

  refresh() {
    if (!this.maps) return;
    const { state } = this.app;
    const areMetric = this.maps.every(({ isMetric }) => isMetric);
    const chosen = [numberOrNull(state.low), numberOrNull(state.high)];
    this.maps.forEach((map, i) => {
      const limits = areMetric ? this.maps[0].limits(...chosen) : map.limits(...chosen);
      paintMap(this.figures[i].canvas, map, state, limits);
      this.figures[i].caption.textContent = `${map.model}: ${map.meaning}`;
    });
    const agreement = correlateRanks(this.maps[0].nearness, this.maps[1].nearness);
    this.result.textContent = `${Math.round(100 * agreement)} % agree`;
    this.note.textContent = "Of pairs of pixels taken at random, so many are ordered alike. " +
      (areMetric ? "Colours are the same metres." : "Each map has the colours of its own range.");
  }
}

/** Share of pairs of pixels that both maps put in the same order. */
function correlateRanks(a, b) {
  let [same, all, seed] = [0, 0, 1];
  const draw = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * a.length);
  };
  for (let i = 0; i < 20_000; i++) {
    const [p, q] = [draw(), draw()];
    const [left, right] = [a[p] - a[q], b[p] - b[q]];
    if (!left || !right || !Number.isFinite(left * right)) continue;
    all++;
    if (left > 0 === right > 0) same++;
  }
  return all ? same / all : 0;
}
