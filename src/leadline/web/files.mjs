// The formats to download, made here, so that they are the same with and without a server.

const text = new TextEncoder();

function joinBytes(parts) {
  const all = parts.map((part) => (part instanceof Uint8Array ? part
    : new Uint8Array(part.buffer, part.byteOffset, part.byteLength)));
  const out = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of all) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

async function deflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function makeChunk(name, body) {
  const head = text.encode(name);
  const chunk = new Uint8Array(body.length + 12);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, body.length);
  chunk.set(head, 4);
  chunk.set(body, 8);
  view.setUint32(body.length + 8, crc32(chunk.subarray(4, body.length + 8)));
  return chunk;
}

/** The record that Leadline keeps beside values: kind, model, camera. */
function makeRecord(map) {
  const { fx, fy, cx, cy } = map.fovDeg === null && !map.intrinsics ? {} : map.camera(map.fovDeg);
  const camera = fx === undefined ? null : {
    width: map.width, height: map.height, fx, fy, cx, cy, world_from_camera: null,
    source: map.lens ?? "given",
  };
  return { kind: map.kind, camera, model: map.model, version: "web" };
}

/** 16-bit PNG as leadline.io writes it: code 0 is "no value"; the record gives scale and offset. */
export async function writePng16(map) {
  const { values, width, height } = map;
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) [low, high] = [0, 0];
  const scale = (high - low) / 65534;
  const lines = new Uint8Array(height * (1 + 2 * width));
  for (let y = 0, to = 0, from = 0; y < height; y++) {
    lines[to++] = 0;
    for (let x = 0; x < width; x++, from++) {
      const steps = scale > 0 ? Math.round((values[from] - low) / scale) : 0;
      const code = Number.isFinite(values[from]) ? Math.min(65534, Math.max(0, steps)) + 1 : 0;
      lines[to++] = code >> 8;
      lines[to++] = code & 255;
    }
  }
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 16);
  const record = {
    ...makeRecord(map), format: "leadline-png16", schema: 1, scale, offset: low - scale,
    no_value_code: 0,
  };
  const body = text.encode(`leadline\0${JSON.stringify(record)}`);
  return new Blob([
    Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), makeChunk("IHDR", new Uint8Array(header.buffer)),
    makeChunk("tEXt", body), makeChunk("IDAT", await deflate(lines)),
    makeChunk("IEND", new Uint8Array()),
  ], { type: "image/png" });
}

/** PFM: 32-bit floats, bottom row first. */
export function writePfm(map) {
  const { values, width, height } = map;
  const rows = new Float32Array(values.length);
  for (let y = 0; y < height; y++) {
    rows.set(values.subarray(y * width, (y + 1) * width), (height - 1 - y) * width);
  }
  const filled = rows.map((value) => (Number.isFinite(value) ? value : Infinity));
  return new Blob([`Pf\n${width} ${height}\n-1\n`, filled]);
}

function makeNpy(descr, shape, data) {
  const head = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  const padded = head.padEnd(Math.ceil((head.length + 11) / 64) * 64 - 11) + "\n";
  const length = Uint8Array.of(padded.length & 255, padded.length >> 8);
  const magic = Uint8Array.of(0x93, 78, 85, 77, 80, 89, 1, 0);
  return joinBytes([magic, length, text.encode(padded), data]);
}

export function writeNpy(map) {
  return new Blob([makeNpy("<f4", `(${map.height}, ${map.width})`, map.values)]);
}

/** NPZ as leadline.read_prediction opens it. */
export function writeNpz(map) {
  const record = makeRecord(map);
  const word = (value) => {
    const points = Uint32Array.from([...value], (letter) => letter.codePointAt(0));
    return makeNpy(`<U${Math.max(1, points.length)}`, "()", points.length ? points : Uint32Array.of(0));
  };
  return new Blob([makeZip({
    "kind.npy": word(record.kind), "model.npy": word(record.model),
    "version.npy": word(record.version),
    "camera.npy": word(record.camera ? JSON.stringify(record.camera) : ""),
    "values.npy": makeNpy("<f4", `(${map.height}, ${map.width})`, map.values),
  })]);
}

/** A ZIP of files that are stored as they are. */
function makeZip(files) {
  const [bodies, entries] = [[], []];
  let at = 0;
  for (const [name, data] of Object.entries(files)) {
    const title = text.encode(name);
    const fields = new DataView(new ArrayBuffer(26));
    fields.setUint16(0, 20, true);
    fields.setUint16(8, 0x21, true); // 1980-01-01
    fields.setUint32(10, crc32(data), true);
    fields.setUint32(14, data.length, true);
    fields.setUint32(18, data.length, true);
    fields.setUint16(22, title.length, true);
    const common = new Uint8Array(fields.buffer);
    bodies.push(Uint8Array.of(80, 75, 3, 4), common, title, data);
    const tail = new DataView(new ArrayBuffer(14));
    tail.setUint32(10, at, true);
    entries.push(Uint8Array.of(80, 75, 1, 2, 20, 0), common, new Uint8Array(tail.buffer), title);
    at += 30 + title.length + data.length;
  }
  const directory = joinBytes(entries);
  const end = new DataView(new ArrayBuffer(22));
  const count = Object.keys(files).length;
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, count, true);
  end.setUint16(10, count, true);
  end.setUint32(12, directory.length, true);
  end.setUint32(16, at, true);
  return joinBytes([...bodies, directory, new Uint8Array(end.buffer)]);
}

/** PLY of the points that are shown; our axes: x right, y down, z forward. */
export function writePly(scene) {
  const { positions, colors, loose } = scene;
  const record = new DataView(new ArrayBuffer(loose.length * 15));
  loose.forEach((vertex, i) => {
    const signs = [1, -1, -1];
    for (let c = 0; c < 3; c++) {
      record.setFloat32(15 * i + 4 * c, signs[c] * positions[3 * vertex + c], true);
      record.setUint8(15 * i + 12 + c, colors[3 * vertex + c]);
    }
  });
  const axes = ["x", "y", "z"].map((axis) => `property float ${axis}\n`).join("");
  const channels = ["red", "green", "blue"].map((name) => `property uchar ${name}\n`).join("");
  const head = `ply\nformat binary_little_endian 1.0\nelement vertex ${loose.length}\n`;
  return new Blob([head, axes, channels, "end_header\n", record]);
}

/**
 * GLB of what is shown: a textured mesh, or points with colours, seen by the photo's camera.
 *
 * @param {object} scene of `buildScene`.
 * @param {string} mode "mesh" or "points".
 * @param {object} lens `fovDeg`, horizontal, and `aspect`, width over height.
 * @param {Uint8Array} photo JPEG, for a mesh.
 */
export function writeGlb(scene, mode, lens, photo = null) {
  const tangent = Math.tan((lens.fovDeg * Math.PI) / 360) / lens.aspect;
  const looks = {
    cameras: [{
      type: "perspective",
      perspective: { aspectRatio: lens.aspect, yfov: 2 * Math.atan(tangent), znear: 0.01 },
    }],
    nodes: [{ mesh: 0 }, { camera: 0 }], scenes: [{ nodes: [0, 1] }],
  };
  return mode === "mesh" ? writeMesh(scene, photo, looks) : writePoints(scene, looks);
}

function findBounds(positions) {
  const min = [Infinity, Infinity, Infinity];
  const max = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < positions.length; i++) {
    min[i % 3] = Math.min(min[i % 3], positions[i]);
    max[i % 3] = Math.max(max[i % 3], positions[i]);
  }
  return { min, max };
}

function writePoints({ positions, colors, loose }, looks) {
  const points = new Float32Array(3 * loose.length);
  const shades = new Uint16Array(4 * loose.length);
  loose.forEach((vertex, i) => {
    points.set(positions.subarray(3 * vertex, 3 * vertex + 3), 3 * i);
    for (let c = 0; c < 3; c++) shades[4 * i + c] = toLinear(colors[3 * vertex + c]);
    shades[4 * i + 3] = 65535;
  });
  const accessors = [
    { componentType: 5126, type: "VEC3", count: loose.length, ...findBounds(points) },
    { componentType: 5123, type: "VEC4", count: loose.length, normalized: true },
  ];
  const primitive = { mode: 0, attributes: { POSITION: 0, COLOR_0: 1 }, material: 0 };
  return packGlb([points, shades], accessors, primitive, looks);
}

/** A colour channel as linear light in 16 bits. */
function toLinear(channel) {
  const x = channel / 255;
  return Math.round(65535 * (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
}

function writeMesh({ positions, uvs, triangles }, photo, looks) {
  const accessors = [
    { componentType: 5126, type: "VEC3", count: positions.length / 3, ...findBounds(positions) },
    { componentType: 5126, type: "VEC2", count: uvs.length / 2 },
    { componentType: 5125, type: "SCALAR", count: triangles.length },
  ];
  const primitive = { attributes: { POSITION: 0, TEXCOORD_0: 1 }, indices: 2, material: 0 };
  const texture = {
    images: [{ bufferView: 3, mimeType: "image/jpeg" }],
    samplers: [{ wrapS: 33071, wrapT: 33071 }],
    textures: [{ source: 0, sampler: 0 }],
  };
  return packGlb([positions, uvs, triangles, photo], accessors, primitive, { ...looks, ...texture });
}

function packGlb(buffers, accessors, primitive, looks) {
  const parts = [];
  const views = [];
  let at = 0;
  for (const buffer of buffers) {
    views.push({ buffer: 0, byteOffset: at, byteLength: buffer.byteLength });
    const bytes = joinBytes([buffer]);
    const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
    padded.set(bytes);
    parts.push(padded);
    at += padded.length;
  }
  const color = looks.textures ? { baseColorTexture: { index: 0 } } : {};
  const document = {
    asset: { version: "2.0", generator: "Leadline" }, scene: 0, meshes: [{ primitives: [primitive] }],
    materials: [{
      doubleSided: true, extensions: { KHR_materials_unlit: {} },
      pbrMetallicRoughness: { ...color, metallicFactor: 0, roughnessFactor: 1 },
    }],
    extensionsUsed: ["KHR_materials_unlit"], buffers: [{ byteLength: at }], bufferViews: views,
    accessors: accessors.map((accessor, i) => ({ bufferView: i, ...accessor })), ...looks,
  };
  const json = JSON.stringify(document);
  const body = text.encode(json.padEnd(Math.ceil(json.length / 4) * 4));
  const header = new Uint32Array([0x46546c67, 2, 28 + body.length + at, body.length, 0x4e4f534a]);
  const middle = new Uint32Array([at, 0x004e4942]);
  return new Blob([header, body, middle, ...parts], { type: "model/gltf-binary" });
}
