// Where pictures come from: a drop, the clipboard, a file, a camera, the page's own examples.

import { make } from "./dom.mjs";
import { PictureError } from "./picture.mjs";

export const EXAMPLES = [
  { name: "room", alt: "A rendered living room" },
  { name: "dandelion", alt: "Dandelions against the light" },
  { name: "coffee", alt: "A cup of coffee on a table" },
  { name: "cat", alt: "A cat" },
];

const byId = (id) => document.getElementById(id);

export class Sources {
  constructor(app) {
    this.app = app;
    this.listenToFiles();
    this.listenToDrops();
    document.addEventListener("paste", ({ clipboardData }) => {
      const file = [...clipboardData.files].find(({ type }) => type.startsWith("image/"));
      if (file) this.open(file);
    });
    byId("examples").append(...EXAMPLES.map(({ name, alt }) => make("li", {}, make("button", {
      type: "button", onclick: () => this.openExample(name), "aria-label": `Example: ${alt}`,
    }, make("img", { src: `web/examples/${name}.jpg`, alt: "", loading: "lazy" })))));
  }

  listenToFiles() {
    for (const id of ["file", "camera"]) {
      byId(id).addEventListener("change", ({ target }) => {
        if (target.files[0]) this.open(target.files[0]);
        target.value = "";
      });
    }
    byId("pick").addEventListener("click", () => this.pick());
    byId("shoot").addEventListener("click", () => {
      const hasTouch = matchMedia("(pointer: coarse)").matches;
      if (hasTouch || !navigator.mediaDevices) byId("camera").click();
      else this.app.tabs.openAlone("live");
    });
  }

  listenToDrops() {
    let depth = 0; // of nested elements that are entered
    const mark = (change) => {
      depth = change === 0 ? 0 : depth + change;
      document.body.classList.toggle("over", depth > 0);
    };
    document.addEventListener("dragenter", () => mark(1));
    document.addEventListener("dragleave", () => mark(-1));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      mark(0);
      const file = event.dataTransfer.files[0];
      if (file) this.open(file);
    });
  }

  pick() {
    byId("file").click();
  }

  async open(file) {
    if (file.type.startsWith("video/")) {
      this.app.tabs.openAlone("film");
      this.app.tabs.views.film.load(file);
    } else {
      await this.app.open(file, file.name || "pasted picture");
    }
  }

  async openExample(name) {
    const response = await fetch(`web/examples/${name}.jpg`);
    if (!response.ok) return this.app.fail(new PictureError(`The example ${name} is missing.`));
    await this.app.open(await response.blob(), `${name}.jpg`, name);
  }
}
