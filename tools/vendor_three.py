"""Bundle the part of three.js that Leadline's pages use into one file of the package.

npm install --prefix build three@0.187.0 esbuild@0.28.2
python -m tools.vendor_three build/node_modules
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[1] / "src" / "leadline" / "web" / "vendor"
NAMES = (
    "BufferAttribute",
    "BufferGeometry",
    "CanvasTexture",
    "Color",
    "DataTexture",
    "DoubleSide",
    "GridHelper",
    "Group",
    "Line",
    "LineBasicMaterial",
    "LineSegments",
    "LinearFilter",
    "Mesh",
    "MeshBasicMaterial",
    "NearestFilter",
    "PerspectiveCamera",
    "PlaneGeometry",
    "Points",
    "PointsMaterial",
    "Raycaster",
    "SRGBColorSpace",
    "Scene",
    "ShaderMaterial",
    "Spherical",
    "Texture",
    "Vector2",
    "Vector3",
    "WebGLRenderer",
)
"""What pages may import from "three", beside ``OrbitControls``."""


def bundle(modules: Path, folder: Path = VENDOR) -> Path:
    """Write ``three.module.min.js`` with its licence and version.

    Args:
        modules: the node_modules that hold three and esbuild.
        folder: where the files go.
    """
    version = json.loads((modules / "three" / "package.json").read_text())["version"]
    source = (
        f"export {{ {', '.join(NAMES)} }} from 'three';\n"
        "export { OrbitControls } from 'three/examples/jsm/controls/OrbitControls.js';\n"
    )
    made = folder / "three.module.min.js"
    banner = f"/* three.js {version}, MIT, see three.LICENSE; made by tools/vendor_three.py */"
    subprocess.run(  # noqa: S603 - what npm installed here
        [
            str(modules.resolve() / ".bin" / "esbuild"),
            "--bundle",
            "--minify",
            "--format=esm",
            "--legal-comments=none",
            f"--banner:js={banner}",
            f"--outfile={made.resolve()}",
        ],
        input=source,
        text=True,
        check=True,
        cwd=modules.parent,
    )
    shutil.copyfile(modules / "three" / "LICENSE", folder / "three.LICENSE")
    return made


if __name__ == "__main__":
    print(bundle(Path(sys.argv[1])))
