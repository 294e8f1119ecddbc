// The 3-D view: points or a textured mesh that people turn with mouse, fingers or keys.

import {
  BufferAttribute, BufferGeometry, CanvasTexture, DoubleSide, Mesh, MeshBasicMaterial, OrbitControls,
  PerspectiveCamera, Points, PointsMaterial, SRGBColorSpace, Scene, WebGLRenderer,
} from "./vendor/three.module.min.js";

const TURN = 0.08; // radians per key

export class Viewer {
  constructor(canvas) {
    this.canvas = canvas;
    this.renderer = new WebGLRenderer({
      canvas, antialias: true, alpha: true, preserveDrawingBuffer: true,
    });
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.scene = new Scene();
    this.camera = new PerspectiveCamera(60, 1, 0.01, 1000);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enableDamping = false;
    this.controls.addEventListener("change", () => this.draw());
    this.pointSize = 2;
    canvas.addEventListener("keydown", (event) => this.turnByKey(event));
    new ResizeObserver(() => this.fit()).observe(canvas.parentElement);
  }

  /** Show a scene of `buildScene` with the picture as its texture. */
  show(scene, bitmap, mode) {
    this.clear();
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(scene.positions, 3));
    if (mode === "mesh") {
      geometry.setAttribute("uv", new BufferAttribute(scene.uvs, 2));
      geometry.setIndex(new BufferAttribute(scene.triangles, 1));
      const texture = new CanvasTexture(bitmap);
      texture.flipY = false;
      texture.colorSpace = SRGBColorSpace;
      texture.generateMipmaps = false;
      texture.minFilter = 1006; // linear
      this.object = new Mesh(geometry, new MeshBasicMaterial({ map: texture, side: DoubleSide }));
    } else {
      geometry.setAttribute("color", new BufferAttribute(linearize(scene.colors), 3));
      geometry.setIndex(new BufferAttribute(scene.loose, 1));
      this.object = new Points(geometry, new PointsMaterial({
        size: this.pointSize, sizeAttenuation: false, vertexColors: true,
      }));
    }
    this.scene.add(this.object);
    this.draw();
  }

  clear() {
    if (!this.object) return;
    this.scene.remove(this.object);
    this.object.geometry.dispose();
    this.object.material.map?.dispose();
    this.object.material.dispose();
    this.object = null;
  }

  setPointSize(size) {
    this.pointSize = size;
    if (this.object?.material.isPointsMaterial) this.object.material.size = size;
    this.draw();
  }

  /** Look from where the photo was taken, a little beside it, at the middle of the scene. */
  frame(scene, fovDeg, aspect) {
    const distance = scene.median;
    this.home = { distance, fovDeg, aspect };
    this.controls.target.set(0, 0, -distance);
    this.camera.position.set(0.1 * distance, 0.06 * distance, 0.12 * distance);
    this.camera.near = distance / 200;
    this.camera.far = distance * 200;
    this.fit();
    this.controls.update();
    this.draw();
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas.parentElement;
    if (!width || !height) return;
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    if (this.home) {
      const tangent = Math.tan((this.home.fovDeg * Math.PI) / 360);
      const vertical = Math.max(tangent / this.camera.aspect, tangent / this.home.aspect);
      this.camera.fov = (360 / Math.PI) * Math.atan(1.08 * vertical);
    }
    this.camera.updateProjectionMatrix();
    this.draw();
  }

  turnByKey(event) {
    const steps = {
      ArrowLeft: [-TURN, 0], ArrowRight: [TURN, 0], ArrowUp: [0, -TURN], ArrowDown: [0, TURN],
    };
    const zooms = { "+": 0.9, "=": 0.9, "-": 1.1 };
    const offset = this.camera.position.clone().sub(this.controls.target);
    if (event.key in steps) {
      const [sideways, upwards] = steps[event.key];
      const radius = offset.length();
      const azimuth = Math.atan2(offset.x, offset.z) + sideways;
      const polar = Math.min(3, Math.max(0.1, Math.acos(offset.y / radius) + upwards));
      offset.set(
        radius * Math.sin(polar) * Math.sin(azimuth), radius * Math.cos(polar),
        radius * Math.sin(polar) * Math.cos(azimuth),
      );
    } else if (event.key in zooms) {
      offset.multiplyScalar(zooms[event.key]);
    } else {
      return;
    }
    event.preventDefault();
    this.camera.position.copy(this.controls.target).add(offset);
    this.controls.update();
    this.draw();
  }

  draw() {
    this.renderer.render(this.scene, this.camera);
  }
}

/** sRGB bytes as linear floats, which materials take. */
function linearize(colors) {
  const table = Float32Array.from({ length: 256 }, (_, i) => {
    const x = i / 255;
    return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  });
  return Float32Array.from(colors, (value) => table[value]);
}
