// A box of the picture's shape in the middle of a stage, as large as fits.

import { make } from "./dom.mjs";

export class Stage {
  constructor(panel, attributes = {}) {
    this.box = make("div", { class: "fit" });
    this.root = make("div", { class: "stage", ...attributes }, this.box);
    panel.append(this.root);
    this.aspect = 4 / 3;
    new ResizeObserver(() => this.fit()).observe(this.root);
  }

  setAspect(aspect) {
    this.aspect = aspect;
    this.root.style.setProperty("--aspect", `${aspect}`);
    this.fit();
  }

  fit() {
    const { clientWidth, clientHeight } = this.root;
    const width = Math.min(clientWidth, clientHeight * this.aspect);
    this.box.style.width = `${Math.floor(width)}px`;
    this.box.style.height = `${Math.floor(width / this.aspect)}px`;
  }

  /** Position of a pointer, as shares of the box. */
  locate({ clientX, clientY }) {
    const { left, top, width, height } = this.box.getBoundingClientRect();
    const clip = (share) => Math.min(0.999999, Math.max(0, share));
    return [clip((clientX - left) / width), clip((clientY - top) / height)];
  }
}

/** Draw a picture over the whole of a canvas. */
export function drawPicture(canvas, picture) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d").drawImage(picture.bitmap, 0, 0);
}
