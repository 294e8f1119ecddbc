// From a picture to a network's input, as leadline.preprocess does it, from the same description.

import { resize } from "./resample.mjs";

function roundHalfToEven(x) {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

const SCALES = {
  exact: (h, w) => [h, w],
  area: (h, w) => [Math.sqrt(h * w), Math.sqrt(h * w)],
  lower_bound: (h, w) => [Math.max(h, w), Math.max(h, w)],
  upper_bound: (h, w) => [Math.min(h, w), Math.min(h, w)],
  minimal: (h, w) => (Math.abs(1 - w) < Math.abs(1 - h) ? [w, w] : [h, h]),
};

/** The resize rules that run in the browser. */
export const RULES = [...Object.keys(SCALES), "short_side"];

/** [height, width] of the network's input for a picture. */
export function chooseInputSize(spec, height, width) {
  const limit = spec.resize === "exact" ? null : spec.max_aspect;
  const h = limit === null ? height : Math.min(height, limit * width);
  const w = limit === null ? width : Math.min(width, limit * height);
  let scales;
  if (spec.resize === "short_side") {
    const scale = Math.min(...spec.size) / Math.min(h, w);
    scales = [scale, scale];
  } else if (spec.resize in SCALES) {
    scales = SCALES[spec.resize](spec.size[0] / h, spec.size[1] / w);
  } else {
    throw new Error(`This model sizes pictures by ${spec.resize}, which only the server does.`);
  }
  return [roundSide(spec, scales[0] * h, 0), roundSide(spec, scales[1] * w, 1)];
}

function roundSide(spec, side, axis) {
  const multiple = spec.multiple_of;
  const bound = spec.size[axis];
  let units = roundHalfToEven(side / multiple);
  if (spec.resize === "lower_bound" && units * multiple < bound) {
    units = Math.ceil(side / multiple);
  } else if (spec.resize === "upper_bound" && units * multiple > bound) {
    units = Math.floor(side / multiple);
  }
  return Math.max(1, units) * multiple;
}

/** The input (1, 3, h, w) of the RGBA pixels of a picture. */
export function prepareInput(spec, pixels, width, height) {
  const [h, w] = chooseInputSize(spec, height, width);
  const planes = resize(pixels, width, height, w, h, {
    stride: 4, channels: 3, interpolation: spec.interpolation,
    alignCorners: spec.input_align_corners,
  });
  for (let c = 0, i = 0; c < 3; c++) {
    const gain = 1 / (255 * spec.std[c]);
    const offset = -spec.mean[c] / spec.std[c];
    for (const end = i + h * w; i < end; i++) planes[i] = planes[i] * gain + offset;
  }
  return { data: planes, height: h, width: w };
}

/** The network's map at the picture's size. */
export function restoreMap(spec, values, mapWidth, mapHeight, width, height) {
  return resize(values, mapWidth, mapHeight, width, height, {
    interpolation: spec.output_interpolation, alignCorners: spec.output_align_corners,
  });
}
