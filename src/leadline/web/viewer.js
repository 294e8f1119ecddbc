// Shows a GLB that Leadline wrote: openViewer(element, bytes) -> {view, dispose}. The page of
// `leadline serve` and the pages that `leadline cloud` writes both show shapes by it.
// Frame: y up, the photo's camera at the origin, looking along -z.
import {
  BufferAttribute,
  BufferGeometry,
  DoubleSide,
  Mesh,
  MeshBasicMaterial,
  OrbitControls,
  PerspectiveCamera,
  Points,
  SRGBColorSpace,
  Scene,
  ShaderMaterial,
  Texture,
  Vector3,
  WebGLRenderer,
} from "./vendor/three.module.min.js";

const ARRAYS = { 5121: Uint8Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array };
const COLUMNS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4 };
const UNITS = { m: "metres", 1: "no unit: right up to one scale", relief: "relief: no unit, for looks" };
const MODES = { mesh: "m", points: "p", wire: "f" };
const MOVES = {
  w: [0, 0, -1], ArrowUp: [0, 0, -1], s: [0, 0, 1], ArrowDown: [0, 0, 1],
  a: [-1, 0, 0], ArrowLeft: [-1, 0, 0], d: [1, 0, 0], ArrowRight: [1, 0, 0],
  e: [0, 1, 0], q: [0, -1, 0],
};

/** The arrays, the texture and the camera of a GLB with one primitive. */
export async function readGlb(buffer) {
  const data = new DataView(buffer);
  const length = data.getUint32(12, true);
  const json = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 20, length)));
  const start = 20 + length + 8;
  const read = (number) => {
    const accessor = json.accessors[number];
    const view = json.bufferViews[accessor.bufferView];
    const columns = COLUMNS[accessor.type];
    const array = new ARRAYS[accessor.componentType](
      buffer, start + (view.byteOffset || 0), accessor.count * columns);
    return new BufferAttribute(array, columns, accessor.normalized || false);
  };
  const primitive = json.meshes[0].primitives[0];
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", read(primitive.attributes.POSITION));
  if ("TEXCOORD_0" in primitive.attributes) geometry.setAttribute("uv", read(primitive.attributes.TEXCOORD_0));
  if ("COLOR_0" in primitive.attributes) geometry.setAttribute("color", read(primitive.attributes.COLOR_0));
  if ("indices" in primitive) geometry.setIndex(read(primitive.indices));
  let texture = null;
  if (json.images) {
    const view = json.bufferViews[json.images[0].bufferView];
    const bytes = new Uint8Array(buffer, start + view.byteOffset, view.byteLength);
    const blob = new Blob([bytes], { type: json.images[0].mimeType });
    texture = new Texture(await createImageBitmap(blob, { colorSpaceConversion: "none" }));
    texture.colorSpace = SRGBColorSpace;
    texture.flipY = false;
    texture.anisotropy = 8;
    texture.needsUpdate = true;
  }
  const photo = json.cameras ? json.cameras[0].perspective : { yfov: 0.9, aspectRatio: 4 / 3 };
  return { geometry, texture, photo, unit: json.asset.extras?.unit || "" };
}

/** Points as large as the pixels that they were; colours from the texture or of their own. */
function makePointMaterial(shape, spacing) {
  const colored = "color" in shape.geometry.attributes;
  return new ShaderMaterial({
    uniforms: { map: { value: shape.texture }, spacing: { value: spacing }, height: { value: 1 } },
    vertexColors: colored,
    vertexShader: `
      uniform sampler2D map; uniform float spacing; uniform float height; varying vec3 tint;
      void main() {
        vec4 place = modelViewMatrix * vec4(position, 1.0);
        gl_Position = projectionMatrix * place;
        gl_PointSize = max(1.0, spacing * length(position) * projectionMatrix[1][1] * height * 0.5 / -place.z);
        tint = ${colored ? "color.rgb" : shape.texture ? "texture2D(map, uv).rgb" : "vec3(0.5)"};
      }`,
    fragmentShader: `
      varying vec3 tint;
      void main() { gl_FragColor = vec4(tint, 1.0); \n#include <colorspace_fragment>\n }`,
  });
}

/** The three ways of showing a shape; only points where there are no faces. */
function makeObjects(shape) {
  const count = shape.geometry.attributes.position.count;
  const area = 4 * Math.tan(shape.photo.yfov / 2) ** 2 * shape.photo.aspectRatio;
  const points = new Points(shape.geometry.clone().setIndex(null), makePointMaterial(shape, 1.3 * Math.sqrt(area / count)));
  if (!shape.geometry.index) return { points };
  const look = { side: DoubleSide, map: shape.texture, vertexColors: "color" in shape.geometry.attributes };
  return {
    mesh: new Mesh(shape.geometry, new MeshBasicMaterial(look)),
    points,
    wire: new Mesh(shape.geometry, new MeshBasicMaterial({ ...look, wireframe: true })),
  };
}

/** Where the middle of what is seen lies: the median depth on the optical axis. */
function findMiddle(geometry) {
  const { array, count } = geometry.attributes.position;
  const step = Math.max(1, Math.floor(count / 4096));
  const depths = [];
  for (let i = 0; i < count; i += step) depths.push(-array[3 * i + 2]);
  depths.sort((a, b) => a - b);
  return { near: depths[0], middle: depths[depths.length >> 1], far: depths[depths.length - 1] };
}

/** Moves like a person in the scene: keys and buttons walk, dragging looks around. */
class Walk {
  constructor(camera, canvas, speed) {
    Object.assign(this, { camera, canvas, speed, held: new Set(), on: false, pointers: new Map() });
    this.turn = (x, y) => {
      this.yaw -= x / 300;
      this.pitch = Math.max(-1.5, Math.min(1.5, this.pitch - y / 300));
      camera.rotation.set(this.pitch, this.yaw, 0, "YXZ");
    };
    this.down = (event) => this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.up = (event) => this.pointers.delete(event.pointerId);
    this.move = (event) => {
      const last = this.pointers.get(event.pointerId);
      if (!this.on || !last) return;
      const x = event.clientX - last[0], y = event.clientY - last[1];
      if (this.pointers.size > 1) this.step([-x / 150, y / 150, 0], 1);
      else this.turn(x, y);
      this.down(event);
    };
    this.wheel = (event) => {
      if (!this.on) return;
      event.preventDefault();
      this.step([0, 0, event.deltaY / 400], 1);
    };
    canvas.addEventListener("pointerdown", this.down);
    canvas.addEventListener("pointermove", this.move);
    canvas.addEventListener("wheel", this.wheel, { passive: false });
    addEventListener("pointerup", this.up);
    addEventListener("pointercancel", this.up);
  }

  start() {
    this.on = true;
    this.camera.rotation.reorder("YXZ");
    this.yaw = this.camera.rotation.y;
    this.pitch = this.camera.rotation.x;
    this.turn(0, 0);
  }

  stop() {
    this.on = false;
    this.held.clear();
  }

  step(direction, seconds) {
    const moved = new Vector3(...direction).multiplyScalar(this.speed * seconds);
    this.camera.position.add(moved.applyQuaternion(this.camera.quaternion));
  }

  update(seconds) {
    for (const key of this.held) this.step(MOVES[key], seconds);
  }

  dispose() {
    this.canvas.removeEventListener("pointerdown", this.down);
    this.canvas.removeEventListener("pointermove", this.move);
    this.canvas.removeEventListener("wheel", this.wheel);
    removeEventListener("pointerup", this.up);
    removeEventListener("pointercancel", this.up);
  }
}

function makeButton(bar, label, title, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.title = title;
  button.addEventListener("click", act);
  bar.append(button);
  return button;
}

function release(shape, objects) {
  for (const object of Object.values(objects)) {
    object.geometry.dispose();
    object.material.dispose();
  }
  shape.texture?.dispose();
}

/** Fill `element` with a viewer of `buffer`, the bytes of a GLB; `bare`: without a choice of how. */
export async function openViewer(element, buffer, { bare = false } = {}) {
  let shape = await readGlb(buffer);
  let span = findMiddle(shape.geometry);
  element.classList.add("viewer");
  const canvas = document.createElement("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("aria-label", "Scene in three dimensions: drag to turn, wheel or pinch to come nearer");
  const bar = document.createElement("div");
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", "View");
  const note = document.createElement("p");
  const pad = document.createElement("div");
  pad.className = "pad";
  element.replaceChildren(canvas, bar, pad, note);
  const renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true });
  const scene = new Scene();
  let objects = {};
  const addObjects = () => {
    objects = makeObjects(shape);
    for (const object of Object.values(objects)) {
      object.frustumCulled = false;
      scene.add(object);
    }
  };
  addObjects();
  const camera = new PerspectiveCamera(50, 1, span.near / 50, span.far * 20);
  const orbit = new OrbitControls(camera, canvas);
  orbit.enableDamping = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  orbit.maxDistance = 4 * span.far;
  const walk = new Walk(camera, canvas, span.middle / 2);

  let last = performance.now(), drawn = "";
  const resize = () => {
    drawn = "";  // a canvas forgets its picture when its size is set
    const { clientWidth: width, clientHeight: height } = element;
    if (!width || !height) return;
    renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    renderer.setSize(width, height, false);
    camera.aspect = width / height;
    const tangent = Math.tan(shape.photo.yfov / 2) * Math.max(1, shape.photo.aspectRatio / camera.aspect);
    camera.fov = (2 * Math.atan(tangent) * 180) / Math.PI;
    camera.updateProjectionMatrix();
    objects.points.material.uniforms.height.value = renderer.domElement.height;
  };
  const modes = {};
  const view = {
    mode: "",
    setMode(mode) {
      if (!(mode in objects)) return;
      view.mode = mode;
      for (const [name, object] of Object.entries(objects)) object.visible = name === mode;
      for (const [name, button] of Object.entries(modes)) button.setAttribute("aria-pressed", name === mode);
    },
    /** Show another GLB from where one looks now. */
    async replace(next) {
      const fresh = await readGlb(next);
      scene.clear();
      release(shape, objects);
      shape = fresh;
      span = findMiddle(shape.geometry);
      addObjects();
      resize();
      view.setMode(view.mode in objects ? view.mode : Object.keys(objects)[0]);
      drawn = "";
    },
    setWalk(on) {
      if (on === walk.on) return;
      if (on) walk.start();
      else {
        walk.stop();
        camera.getWorldDirection(orbit.target).multiplyScalar(span.middle).add(camera.position);
      }
      orbit.enabled = !on;
      pad.hidden = !on;
      walker.setAttribute("aria-pressed", on);
    },
    setTheme(theme) {
      document.documentElement.dataset.theme = theme;
    },
    /** Look at the middle from `degrees` beside and `rise` above where the photo was taken. */
    look(degrees, rise = 0) {
      view.setWalk(false);
      const a = (degrees * Math.PI) / 180, b = (rise * Math.PI) / 180, r = span.middle;
      orbit.target.set(0, 0, -r);
      camera.position.set(r * Math.sin(a) * Math.cos(b), r * Math.sin(b), -r + r * Math.cos(a) * Math.cos(b));
      camera.lookAt(orbit.target);
      orbit.update();
    },
  };
  for (const [name, key] of Object.entries(MODES)) {
    if (name in objects && !bare) modes[name] = makeButton(bar, name, `Show the ${name} (${key.toUpperCase()})`, () => view.setMode(name));
  }
  const walker = makeButton(bar, "walk", "Walk with W A S D, arrows or the buttons (G)", () => view.setWalk(!walk.on));
  makeButton(bar, "photo", "Back to where the photo was taken (R)", () => view.look(0));
  const theme = () => document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const toggle = () => view.setTheme(theme() === "dark" ? "light" : "dark");
  if (!bare) makeButton(bar, "light", "Light or dark (L)", toggle).setAttribute("aria-label", "light or dark");
  for (const [label, key, title] of [["▲", "w", "forward"], ["◀", "a", "left"], ["▼", "s", "back"], ["▶", "d", "right"]]) {
    const button = makeButton(pad, label, title, () => {});
    button.setAttribute("aria-label", title);
    button.addEventListener("pointerdown", () => walk.held.add(key));
    for (const end of ["pointerup", "pointerleave", "pointercancel"]) button.addEventListener(end, () => walk.held.delete(key));
  }
  pad.hidden = true;
  const count = shape.geometry.attributes.position.count.toLocaleString("en");
  const range = `${span.near.toPrecision(3)} to ${span.far.toPrecision(3)}`;
  note.textContent = `${count} points, ${range} ${UNITS[shape.unit] || ""}`.trim();
  note.hidden = bare;

  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (bare && !element.contains(document.activeElement)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (walk.on && key in MOVES) {
      walk.held.add(key);
      event.preventDefault();
      return;
    }
    const mode = Object.keys(MODES).find((name) => MODES[name] === key);
    const turns = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
    if (mode) view.setMode(mode);
    else if (key === "g") view.setWalk(!walk.on);
    else if (key === "r") view.look(0);
    else if (key === "l") toggle();
    else if (turns && document.activeElement === canvas) {
      const offset = camera.position.clone().sub(orbit.target);
      offset.applyAxisAngle(new Vector3(0, 1, 0), 0.08 * turns[0]).y += 0.08 * turns[1] * offset.length();
      camera.position.copy(orbit.target).add(offset);
      event.preventDefault();
    }
  };
  const letGo = (event) => walk.held.delete(event.key.length === 1 ? event.key.toLowerCase() : event.key);
  addEventListener("keydown", press);
  addEventListener("keyup", letGo);
  const watcher = new ResizeObserver(resize);
  watcher.observe(element);
  resize();
  view.setMode(objects.mesh ? "mesh" : "points");
  view.look(0);
  renderer.setAnimationLoop((now) => {
    if (walk.on) walk.update(Math.min(0.1, (now - last) / 1000));
    else orbit.update();
    last = now;
    camera.updateMatrix();
    const state = [view.mode, ...camera.matrix.elements].join();
    if (state === drawn) return;  // nothing moved: leave the processor alone
    drawn = state;
    renderer.render(scene, camera);
  });
  const dispose = () => {
    renderer.setAnimationLoop(null);
    watcher.disconnect();
    removeEventListener("keydown", press);
    removeEventListener("keyup", letGo);
    walk.dispose();
    orbit.dispose();
    release(shape, objects);
    renderer.dispose();
    element.replaceChildren();
  };
  return { view, dispose };
}
