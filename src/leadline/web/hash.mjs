// What is shown, kept in the address, so that a link opens the same view. Uploads are not in it.

export const DEFAULTS = {
  tab: "depth", example: "", model: "", other: "", cmap: "inferno", invert: 0, low: "", high: "",
  split: 50, fov: "", mode: "mesh", edge: 50, far: 100, relief: 40, x1: "", y1: "", x2: "",
  y2: "", tool: "refocus",
};

/** The state of an address; unknown keys and empty ones are left out. */
export function readHash(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const state = { ...DEFAULTS };
  for (const [key, value] of Object.entries(DEFAULTS)) {
    if (!given.has(key)) continue;
    const text = given.get(key);
    if (typeof value === "number") state[key] = Number.isFinite(+text) ? +text : value;
    else state[key] = text;
  }
  return state;
}

/** The part of the address behind `#`; what is as usual is left out. */
export function writeHash(state) {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(DEFAULTS)) {
    if (state[key] !== value) given.set(key, `${state[key]}`);
  }
  const text = given.toString();
  return text ? `#${text}` : "";
}

/** A number of the state, or null where none was chosen. */
export function numberOrNull(text) {
  return text === "" || !Number.isFinite(+text) ? null : +text;
}
