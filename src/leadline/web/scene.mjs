// From a map to points and triangles: x right, y up, looking along -z, as glTF and three.js have it.

/** Depths of every n-th pixel; relative inverse depth becomes a relief without a unit. */
function takeDepths(map, step, relief) {
  const width = Math.floor((map.width - 1) / step) + 1;
  const height = Math.floor((map.height - 1) / step) + 1;
  const depths = new Float32Array(width * height);
  const shift = 2 ** (relief / 20) / 16; // nearness 1 is depth 1/(1 + shift)
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to++) {
      const at = y * step * map.width + x * step;
      if (map.isDepth) depths[to] = map.values[at] > 0 ? map.values[at] : NaN;
      else depths[to] = (1 + shift) / (map.shareOf(map.nearness[at]) + shift);
      if (!map.isDepth && !Number.isFinite(map.nearness[at])) depths[to] = NaN;
    }
  }
  return { depths, width, height };
}

/**
 * Whether the surface is torn between two neighbours: the jump is far more than the slopes on both
 * sides explain, so that a floor towards the horizon stays whole. `depths` are inverted, as planes
 * are straight in inverse depth.
 */
function isTorn(inverse, before, a, b, after, limit) {
  const jump = Math.abs(inverse[b] - inverse[a]);
  const slope = Math.max(
    Number.isFinite(inverse[before]) ? Math.abs(inverse[a] - inverse[before]) : 0,
    Number.isFinite(inverse[after]) ? Math.abs(inverse[after] - inverse[b]) : 0,
  );
  return jump - Math.min(slope, jump / 2) > limit * Math.min(inverse[a], inverse[b]);
}

/** 1 where a pixel lies at a torn edge. */
function findEdges(depths, width, height, limit) {
  const torn = new Uint8Array(depths.length);
  if (!Number.isFinite(limit)) return torn;
  const inverse = depths.map((depth) => 1 / depth);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      if (x + 1 < width && isTorn(inverse, x > 0 ? at - 1 : at, at, at + 1,
        x + 2 < width ? at + 2 : at + 1, limit)) torn[at] = torn[at + 1] = 1;
      if (y + 1 < height && isTorn(inverse, y > 0 ? at - width : at, at, at + width,
        y + 2 < height ? at + 2 * width : at + width, limit)) torn[at] = torn[at + width] = 1;
    }
  }
  return torn;
}

/** Two triangles for every four neighbours that are there and belong together. */
function joinTriangles(vertexOf, torn, width, height) {
  const triangles = [];
  const add = (a, b, c) => {
    const [i, j, k] = [vertexOf[a], vertexOf[b], vertexOf[c]];
    if (i < 0 || j < 0 || k < 0 || (torn[a] && torn[b] && torn[c])) return;
    triangles.push(i, j, k);
  };
  for (let y = 0; y + 1 < height; y++) {
    for (let x = 0; x + 1 < width; x++) {
      const at = y * width + x;
      add(at, at + width, at + 1);
      add(at + 1, at + width, at + width + 1);
    }
  }
  return Uint32Array.from(triangles);
}

/**
 * Points and triangles of a map.
 *
 * @param {DepthMap} map
 * @param {Uint8ClampedArray} pixels RGBA of the picture, at the map's size.
 * @param {object} options `fovDeg`; `edge` 0..100, how eagerly edges are cut; `far` 0..100, the
 *   share of the depths that is kept; `relief` for relative maps; `most` points.
 * @returns positions, colors (uint8), uvs, triangles, and `loose`, the vertices of no torn edge.
 */
export function buildScene(map, pixels, options) {
  const { fovDeg, edge, far, relief, most = 400_000 } = options;
  const step = Math.max(1, Math.ceil(Math.sqrt((map.width * map.height) / most)));
  const { depths, width, height } = takeDepths(map, step, relief);
  const limit = edge === 0 ? Infinity : 0.6 * 0.955 ** edge;
  const torn = findEdges(depths, width, height, limit);
  const sorted = depths.filter(Number.isFinite).sort();
  const farthest = far >= 100 ? Infinity : sorted[Math.floor((far / 100) * (sorted.length - 1))];
  const camera = map.camera(fovDeg);
  const vertexOf = new Int32Array(depths.length).fill(-1);
  const positions = [];
  const colors = [];
  const uvs = [];
  for (let at = 0; at < depths.length; at++) {
    const z = depths[at];
    if (!(z <= farthest)) continue;
    const u = (at % width) * step;
    const v = Math.floor(at / width) * step;
    vertexOf[at] = positions.length / 3;
    positions.push(((u - camera.cx) / camera.fx) * z, -((v - camera.cy) / camera.fy) * z, -z);
    const from = 4 * (v * map.width + u);
    colors.push(pixels[from], pixels[from + 1], pixels[from + 2]);
    uvs.push((u + 0.5) / map.width, (v + 0.5) / map.height);
  }
  return {
    positions: Float32Array.from(positions), colors: Uint8Array.from(colors),
    uvs: Float32Array.from(uvs), triangles: joinTriangles(vertexOf, torn, width, height),
    loose: pickLoose(vertexOf, torn),
  };
}

/** Vertices that no torn edge touches: what is shown as points. */
function pickLoose(vertexOf, torn) {
  const kept = [];
  for (let at = 0; at < torn.length; at++) if (vertexOf[at] >= 0 && !torn[at]) kept.push(vertexOf[at]);
  return Uint32Array.from(kept);
}

/** Distance of two pixels in metres, or in the map's unit. */
export function measureBetween(map, fovDeg, [x1, y1], [x2, y2]) {
  const camera = map.camera(fovDeg);
  const point = (x, y) => {
    const z = map.valueAt(x, y);
    return [((x - camera.cx) / camera.fx) * z, ((y - camera.cy) / camera.fy) * z, z];
  };
  const [a, b] = [point(x1, y1), point(x2, y2)];
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}
