// A map with its meaning: what leadline.Prediction is in Python.

const NEAR_IS_LARGE = ["affine_disparity", "scaled_disparity", "pixel_disparity"];
const DEPTHS = ["metric_depth", "scaled_depth"];

const WORDS = {
  metric_depth: "depth in metres",
  scaled_depth: "depth up to one scale",
  affine_depth: "depth up to scale and shift",
  affine_disparity: "inverse depth up to scale and shift",
  scaled_disparity: "inverse depth up to one scale",
  pixel_disparity: "disparity in pixels",
};

/** A number of metres as people write it. */
export function formatMetres(metres) {
  if (!Number.isFinite(metres)) return "no value";
  if (metres < 1) return `${Math.round(metres * 100)} cm`;
  return `${metres.toFixed(metres < 10 ? 2 : metres < 100 ? 1 : 0)} m`;
}

export class DepthMap {
  /** `values`: Float32Array, rows first, NaN where there is none; `fovDeg`: of the lens, if known. */
  constructor({ values, width, height, kind, model, licence = "", fovDeg = null, lens = null,
                seconds = null, intrinsics = null }) {
    Object.assign(this, { values, width, height, kind, model, licence, fovDeg, lens, seconds });
    this.intrinsics = intrinsics;
  }

  get isMetric() {
    return this.kind === "metric_depth";
  }

  /** Whether points can be computed from it: it is a depth but for a scale at most. */
  get isDepth() {
    return DEPTHS.includes(this.kind);
  }

  get largerIsNearer() {
    return NEAR_IS_LARGE.includes(this.kind);
  }

  get meaning() {
    return WORDS[this.kind] ?? this.kind;
  }

  /** Larger = nearer, in the domain that shows most: inverse depth where there is one. */
  get nearness() {
    if (!this._nearness) {
      const { values, kind } = this;
      if (this.largerIsNearer) this._nearness = values;
      else if (kind === "affine_depth") this._nearness = values.map((value) => -value);
      else this._nearness = values.map((value) => (value > 0 ? 1 / value : NaN));
    }
    return this._nearness;
  }

  /** The value that has this nearness. */
  valueOf(nearness) {
    if (this.largerIsNearer) return nearness;
    return this.kind === "affine_depth" ? -nearness : 1 / nearness;
  }

  /** Percentiles of the finite nearness, from at most 2^16 pixels. */
  get sorted() {
    if (!this._sorted) {
      const all = this.nearness;
      const step = Math.max(1, Math.ceil(all.length / 65536));
      const some = [];
      for (let i = 0; i < all.length; i += step) if (Number.isFinite(all[i])) some.push(all[i]);
      this._sorted = Float32Array.from(some).sort();
    }
    return this._sorted;
  }

  percentile(share) {
    const { sorted } = this;
    return sorted.length ? sorted[Math.round(share * (sorted.length - 1))] : 0;
  }

  /** Lowest and highest nearness worth showing, outliers left out. */
  get domain() {
    const low = this.percentile(0.001);
    const high = this.percentile(0.999);
    return high > low ? [low, high] : [low - 0.5, low + 0.5];
  }

  /** Share 0..1 of the domain where a nearness lies. */
  shareOf(nearness) {
    const [low, high] = this.domain;
    return Math.min(1, Math.max(0, (nearness - low) / (high - low)));
  }

  /** Limits of the colours: those chosen (shares of the domain), else 2 % and 98 %. */
  limits(lowShare, highShare) {
    const [low, high] = this.domain;
    return [
      lowShare === null ? this.percentile(0.02) : low + lowShare * (high - low),
      highShare === null ? this.percentile(0.98) : low + highShare * (high - low),
    ];
  }

  valueAt(x, y) {
    return this.values[Math.floor(y) * this.width + Math.floor(x)];
  }

  /** A value with its unit, as text. */
  describe(value) {
    if (!Number.isFinite(value)) return "no value";
    if (this.isMetric) return formatMetres(value);
    if (this.kind === "pixel_disparity") return `${value.toFixed(1)} px`;
    if (this.kind === "scaled_depth") return `${value.toPrecision(3)} (relative)`;
    const near = this.largerIsNearer ? value : -value;
    return `${Math.round(100 * this.shareOf(near))} % near (relative)`;
  }

  /** Focal length and centre in pixels, of a lens of `fovDeg` where none is known. */
  camera(fovDeg) {
    if (this.intrinsics) return this.intrinsics;
    const focal = this.width / 2 / Math.tan((fovDeg * Math.PI) / 360);
    return { fx: focal, fy: focal, cx: (this.width - 1) / 2, cy: (this.height - 1) / 2 };
  }
}
