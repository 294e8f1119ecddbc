// A picture: its pixels for this page, its bytes for the server, and its lens.

import { readFocal } from "./exif.mjs";

const MOST_PIXELS = 3_200_000; // shown and sent; the networks look at far fewer

export class PictureError extends Error {}

export class Picture {
  constructor({ bitmap, blob, name, focal, reduced = false }) {
    Object.assign(this, { bitmap, blob, name, focal, reduced });
    this.width = bitmap.width;
    this.height = bitmap.height;
  }

  /** Horizontal field of view in degrees, or null when nothing tells. */
  get fovDeg() {
    if (this.focal === null) return null;
    return (2 * Math.atan(this.width / (2 * this.focal)) * 180) / Math.PI;
  }

  /** File name without its suffix. */
  get stem() {
    return this.name.replace(/\.[^.]*$/, "") || "picture";
  }

  /** RGBA bytes. */
  get pixels() {
    if (!this._pixels) {
      const canvas = new OffscreenCanvas(this.width, this.height);
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(this.bitmap, 0, 0);
      this._pixels = context.getImageData(0, 0, this.width, this.height).data;
    }
    return this._pixels;
  }
}

async function decode(blob, name) {
  try {
    return await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch {
    throw new PictureError(
      `${name} cannot be opened as a picture. JPEG, PNG, WebP, AVIF and GIF files work; ` +
      "save it as one of these and try again.",
    );
  }
}

/** Open a file as a picture; a very large one is made smaller first. */
export async function openPicture(blob, name) {
  const whole = await decode(blob, name);
  const scale = Math.sqrt(MOST_PIXELS / (whole.width * whole.height));
  if (scale >= 1) {
    const focal = await readFocal(blob, whole.width, whole.height);
    return new Picture({ bitmap: whole, blob, name, focal });
  }
  const width = Math.max(1, Math.round(whole.width * scale));
  const height = Math.max(1, Math.round(whole.height * scale));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, width, height);
  whole.close();
  const smaller = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
  return new Picture({
    bitmap: await decode(smaller, name), blob: smaller, name,
    focal: await readFocal(blob, width, height), reduced: true,
  });
}

/** A picture of a canvas or a video frame. */
export async function takePicture(source, width, height, name, type = "image/jpeg") {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").drawImage(source, 0, 0, width, height);
  const blob = await canvas.convertToBlob({ type, quality: 0.95 });
  return new Picture({ bitmap: await createImageBitmap(canvas), blob, name, focal: null });
}
