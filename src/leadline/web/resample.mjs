// Resampling as leadline.resample does it: separable, pixel centres at integers, borders repeated.

/** Taps of one axis: for every output `k` input indices and weights. */
function takePoints(nIn, nOut, rule, alignCorners) {
  const k = rule === "cubic" ? 4 : 2;
  const index = new Int32Array(nOut * k);
  const weight = new Float64Array(nOut * k);
  for (let i = 0; i < nOut; i++) {
    let position = ((i + 0.5) * nIn) / nOut - 0.5;
    if (alignCorners) position = nOut > 1 ? (i * (nIn - 1)) / (nOut - 1) : 0;
    const left = Math.floor(position);
    const t = position - left;
    const weights = rule === "cubic" ? weighCubic(t) : [1 - t, t];
    for (let j = 0; j < k; j++) {
      const tap = left + j - (k === 4 ? 1 : 0);
      index[i * k + j] = Math.min(nIn - 1, Math.max(0, tap));
      weight[i * k + j] = weights[j];
    }
  }
  return { k, index, weight };
}

const A = -0.75;

/** Keys' cubic kernel around a position that is `t` behind its second tap. */
function weighCubic(t) {
  const near = (x) => ((A + 2) * x - (A + 3)) * x * x + 1;
  const far = (x) => ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
  const weights = [far(t + 1), near(t), near(1 - t)];
  return [...weights, 1 - weights[0] - weights[1] - weights[2]];
}

/** Every input weighted by how much of it the output covers. */
function takeAreas(nIn, nOut) {
  const scale = nIn / nOut;
  const k = Math.ceil(scale) + 1;
  const index = new Int32Array(nOut * k);
  const weight = new Float64Array(nOut * k);
  for (let i = 0; i < nOut; i++) {
    const left = i * scale;
    const right = Math.min(left + scale, nIn);
    let sum = 0;
    for (let j = 0; j < k; j++) {
      const tap = Math.floor(left) + j;
      let covered = Math.min(tap + 1, right) - Math.max(tap, left);
      if (covered <= 1e-3) covered = 0;
      index[i * k + j] = Math.min(nIn - 1, tap);
      weight[i * k + j] = covered;
      sum += covered;
    }
    for (let j = 0; j < k; j++) weight[i * k + j] /= sum;
  }
  return { k, index, weight };
}

function takeTaps(nIn, nOut, rule, alignCorners) {
  return rule === "area" ? takeAreas(nIn, nOut) : takePoints(nIn, nOut, rule, alignCorners);
}

function chooseRule(interpolation, shrinks) {
  if (interpolation === "area_linear") return shrinks ? "area" : "linear";
  if (["linear", "cubic"].includes(interpolation)) return interpolation;
  if (interpolation === "area" && shrinks) return "area";
  throw new Error(`This model resizes pictures by ${interpolation}, which only the server does.`);
}

/** Resample interleaved `data` (h, w, channels of stride) to planar Float32Array (c, H, W). */
export function resize(data, width, height, outWidth, outHeight, options = {}) {
  const { stride = 1, channels = 1, interpolation = "linear", alignCorners = false } = options;
  const rule = chooseRule(interpolation, width >= outWidth && height >= outHeight);
  const columns = takeTaps(width, outWidth, rule, alignCorners);
  const rows = takeTaps(height, outHeight, rule, alignCorners);
  const out = new Float32Array(channels * outHeight * outWidth);
  const line = new Float32Array(width * channels);
  for (let y = 0; y < outHeight; y++) {
    line.fill(0);
    for (let j = 0; j < rows.k; j++) {
      const weight = rows.weight[y * rows.k + j];
      if (weight === 0) continue;
      addLine(line, data, rows.index[y * rows.k + j] * width * stride, weight, stride, channels);
    }
    for (let c = 0; c < channels; c++) {
      const start = (c * outHeight + y) * outWidth;
      for (let x = 0; x < outWidth; x++) {
        let sum = 0;
        for (let j = x * columns.k; j < (x + 1) * columns.k; j++) {
          sum += columns.weight[j] * line[columns.index[j] * channels + c];
        }
        out[start + x] = sum;
      }
    }
  }
  return out;
}

function addLine(line, data, start, weight, stride, channels) {
  const width = line.length / channels;
  for (let x = 0, to = 0; x < width; x++) {
    const from = start + x * stride;
    for (let c = 0; c < channels; c++) line[to++] += weight * data[from + c];
  }
}
