// The page: what it shows, what it remembers, and who computes.

import { openBackend } from "./backends/backend.mjs";
import { afterPause, make, makeButton, makeSelect, makeSlider } from "./dom.mjs";
import { DEFAULTS, numberOrNull, readHash, writeHash } from "./hash.mjs";
import { openPicture, PictureError } from "./picture.mjs";
import { Sources, EXAMPLES } from "./sources.mjs";
import { Tabs } from "./tabs.mjs";

const USUAL_FOV = 60; // degrees, for shapes where nothing tells the lens
const byId = (id) => document.getElementById(id);

class App {
  constructor(backend) {
    this.backend = backend;
    this.state = readHash(location.hash);
    this.picture = null;
    this.map = null;
    this.maps = new Map(); // model and lens -> map of the present picture
    this.saveHash = afterPause(() => history.replaceState(null, "", this.address), 200);
    this.predictSoon = afterPause(() => this.predict(), 150);
    const names = backend.models.map(({ name }) => name);
    if (!names.includes(this.state.model)) {
      this.state.model = (backend.models.find(givesShape) ?? backend.models[0]).name;
    }
    if (!names.includes(this.state.other)) {
      this.state.other = names.find((name) => name !== this.state.model) ?? names[0];
    }
  }

  get address() {
    return location.pathname + location.search + writeHash(this.state);
  }

  /** Horizontal field of view that is known or chosen; null where nothing tells. */
  get fovDeg() {
    return numberOrNull(this.state.fov) ?? this.picture?.fovDeg ?? null;
  }

  /** The field of view that shapes are drawn with. */
  get shownFov() {
    return this.fovDeg ?? USUAL_FOV;
  }

  set(change) {
    Object.assign(this.state, change);
    this.saveHash();
    this.tabs.refresh(change);
  }

  /** Show a file; `example` names it where it is one of the page's own. */
  async open(blob, name, example = "") {
    this.cancel();
    this.fail(null);
    this.say({ text: "Opening the photo", share: null });
    try {
      this.picture = await openPicture(blob, name);
    } catch (error) {
      this.say(null);
      this.fail(error);
      return;
    }
    this.maps.clear();
    this.map = null;
    const points = { x1: "", y1: "", x2: "", y2: "" };
    const isSame = example && example === this.state.example;
    this.state.example = example;
    if (!isSame) Object.assign(this.state, { low: "", high: "" }, points);
    this.showWork(true);
    this.drawSource();
    this.tabs.showPicture();
    this.saveHash();
    await this.predict();
  }

  showWork(isOn) {
    byId("welcome").hidden = isOn;
    byId("work").hidden = !isOn;
    byId("tabs").hidden = !isOn;
  }

  cancel() {
    this.running?.abort();
    this.running = null;
  }

  /** Compute the map of the chosen model and show it. */
  async predict() {
    if (!this.picture) return;
    this.cancel();
    const running = new AbortController();
    this.running = running;
    try {
      const map = await this.compute(this.state.model, running.signal);
      if (running.signal.aborted) return;
      this.map = map;
      this.say(null);
      this.drawSource();
      this.tabs.showMap();
    } catch (error) {
      if (running.signal.aborted) return;
      this.say(null);
      this.fail(error);
    }
  }

  /** The map of one model of the present picture; each is computed once. */
  async compute(model, signal) {
    const key = `${model} ${this.fovDeg}`;
    if (!this.maps.has(key)) {
      const { picture } = this;
      const map = await this.backend.predict(picture, {
        model, fovDeg: this.fovDeg, signal,
        onProgress: (progress) => signal?.aborted || this.say(progress),
      });
      if (picture !== this.picture) return map;
      if (this.picture.fovDeg !== null && this.state.fov === "") map.lens = "exif";
      this.maps.set(key, map);
    }
    return this.maps.get(key);
  }

  /** Progress at the bottom of the page; null: nothing runs. */
  say(progress) {
    const status = byId("status");
    document.body.toggleAttribute("data-busy", progress !== null);
    if (progress === null) return status.replaceChildren();
    const bar = make("progress", { max: "1", "aria-label": progress.text });
    if (progress.share !== null) bar.value = progress.share;
    const shown = status.querySelector("span");
    if (shown?.textContent === progress.text && progress.share !== null) {
      status.querySelector("progress").value = progress.share;
      return;
    }
    status.replaceChildren(make("div", {}, make("span", {}, progress.text), bar));
  }

  fail(error) {
    const problem = byId("problem");
    problem.hidden = error === null;
    if (error === null) return problem.replaceChildren();
    if (!(error instanceof PictureError)) console.warn(error);
    const close = makeButton("×", () => this.fail(null), { "aria-label": "Close" });
    problem.replaceChildren(make("p", {}, error.message), close);
  }

  /** The photo, the model and the lens, above every tab's own settings. */
  drawSource() {
    const { picture, map, state } = this;
    const { models } = this.backend;
    const chosen = models.find(({ name }) => name === state.model);
    const choice = makeSelect({
      label: "Model", value: state.model,
      options: models.map((model) => [model.name, `${model.name} – ${describeUse(model)}`]),
      onchange: (model) => {
        this.set({ model, low: "", high: "" });
        this.predict();
      },
    });
    const facts = [`${picture.width} × ${picture.height}${picture.reduced ? " (reduced)" : ""}`];
    if (map?.model === state.model && map.seconds !== null) facts.push(`${map.seconds.toFixed(2)} s`);
    const another = makeButton("Another photo", () => this.sources.pick());
    byId("source").replaceChildren(
      make("p", { class: "name", title: picture.name }, picture.name),
      make("p", { class: "facts" }, facts.join(" · ")),
      make("div", { class: "row" }, another), choice.root,
      ...(chosen?.needsLens ? [this.makeLens()] : []),
    );
  }

  makeLens() {
    const known = this.picture.fovDeg;
    const show = (fov) => (this.fovDeg === null ? "unknown" : `${Math.round(fov)}°`);
    const slider = makeSlider({
      label: "Field of view", min: 20, max: 120, step: 1, value: Math.round(this.shownFov), show,
      onchange: (fov) => {
        this.set({ fov: `${fov}` });
        this.predictSoon();
      },
    });
    let note = "The photo does not say its lens, so distances are relative. " +
      "Set the field of view for metres: a phone's main camera has about 65°.";
    if (this.state.fov !== "") note = "Metres follow the field of view that you chose.";
    else if (known !== null) note = "The field of view is from the photo's EXIF.";
    return make("div", {}, slider.root, make("p", { class: "note" }, note));
  }
}

/** Whether a model gives shapes that are not bent; of one that is still loading, by its name. */
function givesShape({ kind, name }) {
  return kind ? ["metric_depth", "scaled_depth"].includes(kind) : name.includes("metric");
}

/** What a model is good for, in two words. */
function describeUse(model) {
  return model.kind === "metric_depth" || model.needsLens ? "metres" : "relative depth";
}

function prepareTheme() {
  const kept = localStorage.getItem("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = (theme) => { document.documentElement.dataset.theme = theme; };
  show(kept ?? (dark.matches ? "dark" : "light"));
  dark.addEventListener("change", () => {
    if (!localStorage.getItem("theme")) show(dark.matches ? "dark" : "light");
  });
  byId("theme").addEventListener("click", () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", next);
    show(next);
  });
}

async function start() {
  prepareTheme();
  byId("tabs").hidden = true;
  let backend;
  try {
    backend = await openBackend();
  } catch (error) {
    App.prototype.fail(error);
    return;
  }
  const app = new App(backend);
  byId("place").textContent = backend.place;
  app.tabs = new Tabs(app);
  app.sources = new Sources(app);
  byId("home").addEventListener("click", () => {
    app.cancel();
    app.say(null);
    app.picture = app.map = null;
    Object.assign(app.state, DEFAULTS, { model: app.state.model, other: app.state.other });
    history.replaceState(null, "", location.pathname + location.search);
    app.showWork(false);
  });
  byId("share").addEventListener("click", async () => {
    await navigator.clipboard?.writeText(location.origin + app.address).catch(() => {});
    const note = app.state.example || !app.picture ? "" : " Your photo is not part of it.";
    app.say({ text: `The link is copied.${note}`, share: 1 });
    setTimeout(() => app.say(null), 2500);
  });
  window.addEventListener("hashchange", () => location.reload());
  document.documentElement.dataset.ready = "";
  const isExample = EXAMPLES.some(({ name }) => name === app.state.example);
  if (isExample) await app.sources.openExample(app.state.example);
  else if (["film", "pair", "live"].includes(app.state.tab)) app.tabs.openAlone();
}

if ("serviceWorker" in navigator && document.documentElement.dataset.backend === "browser") {
  navigator.serviceWorker.register("sw.js").catch(() => {}); // a page without it works as well
}
start();
