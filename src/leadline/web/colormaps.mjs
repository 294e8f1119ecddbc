// Colour maps, the tables of leadline.viz: colours evenly spaced and joined by straight lines.

const TABLES = {
  inferno:
    "00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e61136e" +
    "69166e71196e781c6d801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4dcc4248d34743" +
    "d94d3ddf5337e45a31e9612bed6925f1711ff47918f78212f98b0bfa9407fb9d07fca60cfcb014fbba1ffac42a" +
    "f8cd37f6d746f4e156f2ea69f2f27df5f992fcffa4",
  magma:
    "00000402020b0504160907200e0b2b140e361a104221114e29115a311165390f6e420f754a107952137c5a167e" +
    "6219806a1c81721f81792282812581892881912b81992d80a1307eaa337db2357bba3878c23b75ca3e72d2426f" +
    "d9466be04c67e75263ec5860f1605df4695cf7725cf97b5dfb8560fc8e64fd9869fea16efeaa74feb47bfebd82" +
    "fec68afecf92fed89afde2a3fdebacfcf4b6fcfdbf",
  viridis:
    "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b38598c" +
    "355e8d33638d31688e2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b1e9c891fa188" +
    "21a58524aa8328ae802eb37c35b7793dbc7446c06f50c46a5ac86465cb5e70cf577cd25089d54895d840a2da37" +
    "b0dd2fbddf26cae11fd8e219e5e419f1e51dfde725",
  turbo:
    "30123b36215f3b2f803f3e9c424bb54559cb4666dd4773eb4680f6458cfd4099ff38a5fb2fb2f427bee91fc9dd" +
    "1ad4d018ddc21ae4b622ebaa2ff19b3ff68a52fa7a65fd6979fe598bff4b9cfe40a9fb39b7f735c3f134d0ea34" +
    "dbe236e5d938eecf3af5c53afaba39fdae35fea130fe932afc8423f9751df46617ef5811e84b0ce14109d83706" +
    "ce2d04c32503b71d02a916019b0f018b09027a0403",
  spectral: "5e4fa23288bd66c2a5abdda4e6f598ffffbffee08bfdae61f46d43d53e4f9e0142",
  grey: "000000ffffff",
};

/** Names of the colour maps. */
export const CMAPS = Object.keys(TABLES);

/** Colour of pixels without a value. */
const NO_VALUE = [100, 108, 128];

const made = new Map();

/** 256 RGB colours, one after the other. */
export function makeTable(name) {
  if (!made.has(name)) {
    const hex = TABLES[name];
    const count = hex.length / 6;
    const color = (i) => [0, 2, 4].map((at) => parseInt(hex.substr(6 * i + at, 2), 16));
    const table = new Uint8ClampedArray(768);
    for (let i = 0; i < 256; i++) {
      const at = (i * (count - 1)) / 255;
      const left = Math.min(count - 2, Math.floor(at));
      const [a, b] = [color(left), color(left + 1)];
      for (let c = 0; c < 3; c++) {
        table[3 * i + c] = Math.round(a[c] + (at - left) * (b[c] - a[c]));
      }
    }
    made.set(name, table);
  }
  return made.get(name);
}

/** Fill RGBA `out` with the colours of `values` between two limits. */
export function colorize(values, [low, high], name, invert, out) {
  const table = makeTable(name);
  const scale = high > low ? 255 / (high - low) : 0;
  for (let i = 0, to = 0; i < values.length; i++, to += 4) {
    const value = values[i];
    out[to + 3] = 255;
    if (!Number.isFinite(value)) {
      [out[to], out[to + 1], out[to + 2]] = NO_VALUE;
      continue;
    }
    let index = scale ? Math.round((value - low) * scale) : 128;
    index = index < 0 ? 0 : index > 255 ? 255 : index;
    const from = 3 * (invert ? 255 - index : index);
    out[to] = table[from];
    out[to + 1] = table[from + 1];
    out[to + 2] = table[from + 2];
  }
  return out;
}

/** A CSS gradient of the colour map, first colour first. */
export function makeGradient(name, invert, direction = "to right") {
  const table = makeTable(name);
  const stops = [];
  for (let i = 0; i <= 16; i++) {
    const at = 3 * Math.round((255 * (invert ? 16 - i : i)) / 16);
    stops.push(`rgb(${table[at]} ${table[at + 1]} ${table[at + 2]})`);
  }
  return `linear-gradient(${direction}, ${stops.join(", ")})`;
}
