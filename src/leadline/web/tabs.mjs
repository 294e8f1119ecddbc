// The views, one shown at a time; arrow keys move between them.

import { make } from "./dom.mjs";
import { CompareView } from "./views/compare.mjs";
import { DepthView } from "./views/depth.mjs";
import { FilmView } from "./views/film.mjs";
import { LiveView } from "./views/live.mjs";
import { MeasureView } from "./views/measure.mjs";
import { PairView } from "./views/pair.mjs";
import { SceneView } from "./views/scene.mjs";
import { StudioView } from "./views/studio.mjs";

const VIEWS = [
  ["depth", "Depth", DepthView], ["scene", "3-D", SceneView], ["measure", "Measure", MeasureView],
  ["compare", "Compare", CompareView], ["studio", "Studio", StudioView], ["film", "Film", FilmView],
  ["pair", "Two photos", PairView], ["live", "Live", LiveView],
];
const ALONE = ["film", "pair", "live"]; // they bring their own pictures

export class Tabs {
  constructor(app) {
    this.app = app;
    this.views = {};
    this.buttons = {};
    this.bar = document.getElementById("tabs");
    for (const [name, title, View] of VIEWS) this.add(name, title, View);
    if (!(app.state.tab in this.views)) app.state.tab = "depth";
    this.bar.addEventListener("keydown", (event) => this.moveByKey(event));
    this.mark();
  }

  add(name, title, View) {
    const panel = make("div", {
      class: "panel", role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}`,
    });
    const side = make("div", { id: `side-${name}` });
    this.buttons[name] = make("button", {
      type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`,
      onclick: () => this.choose(name),
    }, title);
    this.bar.append(this.buttons[name]);
    document.getElementById("stages").append(panel);
    document.getElementById("panels").append(side);
    this.views[name] = new View(this.app, panel, side);
  }

  get current() {
    return this.views[this.app.state.tab];
  }

  choose(name) {
    if (name === this.app.state.tab) return;
    this.current.leave?.();
    this.app.state.tab = name;
    this.app.saveHash();
    this.mark();
    this.show();
  }

  /** Open a view that needs no photo. */
  openAlone(name = this.app.state.tab) {
    this.app.showWork(true);
    if (name !== this.app.state.tab) this.choose(name);
    else this.show();
  }

  mark() {
    for (const [name, button] of Object.entries(this.buttons)) {
      const isChosen = name === this.app.state.tab;
      button.setAttribute("aria-selected", `${isChosen}`);
      button.tabIndex = isChosen ? 0 : -1;
      document.getElementById(`panel-${name}`).hidden = !isChosen;
      document.getElementById(`side-${name}`).hidden = !isChosen;
    }
    const isAlone = ALONE.includes(this.app.state.tab);
    document.getElementById("source").hidden = isAlone || !this.app.picture;
    this.buttons[this.app.state.tab].scrollIntoView?.({ block: "nearest", inline: "center" });
  }

  moveByKey(event) {
    const names = Object.keys(this.views);
    const at = names.indexOf(this.app.state.tab);
    const next = {
      ArrowRight: (at + 1) % names.length, ArrowLeft: (at + names.length - 1) % names.length,
      Home: 0, End: names.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.choose(names[next]);
    this.buttons[names[next]].focus();
  }

  /** A new picture is there, not yet its map. */
  showPicture() {
    if (ALONE.includes(this.app.state.tab)) this.choose("depth");
    this.mark();
    this.current.showPicture?.();
  }

  showMap() {
    this.show();
  }

  show() {
    if (this.app.map || ALONE.includes(this.app.state.tab)) this.current.show();
    else if (this.app.picture) this.current.showPicture?.();
    else this.app.showWork(false);
  }

  refresh(change) {
    this.current.refresh?.(change);
  }
}
