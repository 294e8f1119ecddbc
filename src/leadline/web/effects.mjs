// What artists make of a photo and its depth: refocus, stereo pictures, reliefs.

const LAYERS = 14;

/** Nearness 0..1 of every pixel of a picture that is `scale` times the map's size. */
function takeShares(map, width, height) {
  const shares = new Float32Array(width * height);
  for (let y = 0, to = 0; y < height; y++) {
    const row = Math.min(map.height - 1, Math.floor(((y + 0.5) * map.height) / height)) * map.width;
    for (let x = 0; x < width; x++, to++) {
      const at = row + Math.min(map.width - 1, Math.floor(((x + 0.5) * map.width) / width));
      const near = map.nearness[at];
      shares[to] = Number.isFinite(near) ? map.shareOf(near) : 0;
    }
  }
  return shares;
}

/** A working copy of photo and nearness, `longSide` pixels at most. */
export function prepareEffect(map, picture, longSide = 1280) {
  const scale = Math.min(1, longSide / Math.max(picture.width, picture.height));
  const width = Math.max(1, Math.round(picture.width * scale));
  const height = Math.max(1, Math.round(picture.height * scale));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture.bitmap, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height).data;
  return { canvas, pixels, shares: takeShares(map, width, height), width, height };
}

/** Blur what is not as near as `focus` (0..1); layers from far to near, each in its own blur. */
export function refocus(context, { canvas, pixels, shares, width, height }, focus, aperture) {
  const radius = (share) => (aperture / 100) * 0.06 * width * Math.abs(share - focus);
  context.filter = `blur(${radius(0).toFixed(2)}px)`;
  context.drawImage(canvas, 0, 0);
  const layer = new OffscreenCanvas(width, height);
  const inside = layer.getContext("2d");
  const image = inside.createImageData(width, height);
  image.data.set(pixels);
  for (let k = 0; k < LAYERS; k++) {
    const middle = (k + 0.5) / LAYERS;
    for (let i = 0; i < shares.length; i++) {
      const distance = Math.abs(shares[i] - middle) * LAYERS;
      image.data[4 * i + 3] = 255 * Math.min(1, Math.max(0, 1.5 - distance));
    }
    inside.putImageData(image, 0, 0);
    context.filter = `blur(${radius(middle).toFixed(2)}px)`;
    context.drawImage(layer, 0, 0);
  }
  context.filter = "none";
}

/** Pixels as an eye beside the camera sees them: near ones move by up to `shift` pixels. */
function moveView({ pixels, shares, width, height }, shift, plane) {
  const out = new Uint8ClampedArray(pixels.length);
  const from = new Int32Array(width);
  for (let y = 0; y < height; y++) {
    from.fill(-1);
    const row = y * width;
    for (let x = 0; x < width; x++) {
      const to = Math.round(x + shift * (shares[row + x] - plane));
      if (to < 0 || to >= width) continue;
      if (from[to] < 0 || shares[row + x] > shares[row + from[to]]) from[to] = x;
    }
    fillHoles(from, shares, row);
    for (let x = 0; x < width; x++) {
      const [to, source] = [4 * (row + x), 4 * (row + from[x])];
      for (let c = 0; c < 3; c++) out[to + c] = pixels[source + c];
      out[to + 3] = 255;
    }
  }
  return out;
}

/** What became visible behind a near thing shows the farther of its neighbours. */
function fillHoles(from, shares, row) {
  const width = from.length;
  for (let x = 0; x < width; x++) {
    if (from[x] >= 0) continue;
    let right = x;
    while (right < width && from[right] < 0) right++;
    const [a, b] = [x > 0 ? from[x - 1] : -1, right < width ? from[right] : -1];
    const fill = b < 0 || (a >= 0 && shares[row + a] < shares[row + b]) ? a : b;
    from.fill(Math.max(0, fill), x, right);
    x = right;
  }
}

// Source: Dubois, A projection method to generate anaglyph stereo images, ICASSP 2001, red-cyan.
const LEFT = [0.437, 0.449, 0.164, -0.062, -0.062, -0.024, -0.048, -0.05, -0.017];
const RIGHT = [-0.011, -0.032, -0.007, 0.377, 0.761, 0.009, -0.026, -0.093, 1.234];

/** Two views, as `anaglyph` for red-cyan glasses or `side` by side. */
export function drawStereo(canvas, work, { layout, strength, plane }) {
  const { width, height } = work;
  const shift = (strength / 100) * 0.06 * width;
  const left = moveView(work, shift / 2, plane / 100);
  const right = moveView(work, -shift / 2, plane / 100);
  canvas.width = layout === "side" ? 2 * width : width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (layout === "side") {
    context.putImageData(new ImageData(left, width, height), 0, 0);
    context.putImageData(new ImageData(right, width, height), width, 0);
    return;
  }
  const mixed = new Uint8ClampedArray(left.length);
  for (let i = 0; i < mixed.length; i += 4) {
    for (let c = 0; c < 3; c++) {
      let sum = 0;
      for (let k = 0; k < 3; k++) {
        sum += LEFT[3 * c + k] * left[i + k] + RIGHT[3 * c + k] * right[i + k];
      }
      mixed[i + c] = sum;
    }
    mixed[i + 3] = 255;
  }
  context.putImageData(new ImageData(mixed, width, height), 0, 0);
}

/** The mean of a square of `2 radius + 1` pixels, one axis after the other. */
function blurShares(shares, width, height, radius) {
  const blurLines = (values, count, length, step, stride) => {
    const out = new Float32Array(values.length);
    for (let line = 0; line < count; line++) {
      const at = (i) => line * stride + Math.min(length - 1, Math.max(0, i)) * step;
      let sum = 0;
      for (let i = -radius; i <= radius; i++) sum += values[at(i)];
      for (let i = 0; i < length; i++) {
        out[at(i)] = sum / (2 * radius + 1);
        sum += values[at(i + radius + 1)] - values[at(i - radius)];
      }
    }
    return out;
  };
  const wide = blurLines(shares, height, width, 1, width);
  return blurLines(wide, width, height, width, 1);
}

/** The map as a plaster relief under a lamp at `angle` degrees. */
export function drawRelief(canvas, { shares, width, height }, { angle, strength }) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const lamp = [Math.cos((angle * Math.PI) / 180), -Math.sin((angle * Math.PI) / 180)];
  const gain = (strength / 100) * 0.2 * width;
  const heights = blurShares(shares, width, height, Math.max(1, Math.round(width / 220)));
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const right = heights[x + 1 < width ? i + 1 : i] - heights[x > 0 ? i - 1 : i];
      const down = heights[y + 1 < height ? i + width : i] - heights[y > 0 ? i - width : i];
      const [nx, ny] = [-gain * right, -gain * down];
      const light = (0.75 + 0.65 * (nx * lamp[0] + ny * lamp[1])) / Math.hypot(nx, ny, 1);
      const shade = 255 * Math.min(1, Math.max(0, 0.12 + 0.88 * light));
      image.data.set([shade, 0.985 * shade, 0.96 * shade, 255], 4 * i);
    }
  }
  context.putImageData(image, 0, 0);
}

const PLATE_MM = 100; // its longer side
const BASE_MM = 2;

/** A closed relief to print: binary STL in millimetres, `deep` of them high above its plate. */
export function writeStl(map, deep) {
  const scale = Math.min(1, 240 / Math.max(map.width, map.height));
  const [w, h] = [map.width, map.height].map((side) => Math.max(2, Math.round(side * scale)));
  const shares = takeShares(map, w, h);
  const mm = PLATE_MM / Math.max(w - 1, h - 1);
  const top = (x, y) => [x * mm, (h - 1 - y) * mm, BASE_MM + deep * shares[y * w + x]];
  const flat = (x, y) => [x * mm, (h - 1 - y) * mm, 0];
  const corners = [];
  const addQuad = (a, b, c, d) => corners.push(a, b, c, c, b, d);
  for (let y = 0; y + 1 < h; y++) {
    for (let x = 0; x + 1 < w; x++) {
      addQuad(top(x, y), top(x, y + 1), top(x + 1, y), top(x + 1, y + 1));
      addQuad(flat(x, y), flat(x + 1, y), flat(x, y + 1), flat(x + 1, y + 1));
    }
  }
  for (let x = 0; x + 1 < w; x++) {
    addQuad(flat(x, 0), top(x, 0), flat(x + 1, 0), top(x + 1, 0));
    addQuad(flat(x, h - 1), flat(x + 1, h - 1), top(x, h - 1), top(x + 1, h - 1));
  }
  for (let y = 0; y + 1 < h; y++) {
    addQuad(flat(0, y), flat(0, y + 1), top(0, y), top(0, y + 1));
    addQuad(flat(w - 1, y), top(w - 1, y), flat(w - 1, y + 1), top(w - 1, y + 1));
  }
  return packTriangles(corners);
}

function packTriangles(corners) {
  const count = corners.length / 3;
  const out = new DataView(new ArrayBuffer(84 + 50 * count));
  out.setUint32(80, count, true);
  corners.forEach((corner, i) => {
    const at = 84 + 50 * Math.floor(i / 3) + 12 * (1 + (i % 3)); // its normal stays 0: programs
    corner.forEach((value, axis) => out.setFloat32(at + 4 * axis, value, true)); // compute it
  });
  return new Blob([out], { type: "model/stl" });
}
