"""The nodes of ComfyUI, without ComfyUI: its tables, tensors and folder."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from leadline.prediction import read_prediction

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"


@pytest.fixture(scope="module")
def package() -> ModuleType:
    """The folder as a package of an odd name, as ComfyUI imports it."""
    name = "custom_nodes_leadline"
    spec = importlib.util.spec_from_file_location(
        name, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def call(package: ModuleType, name: str, **given: Any) -> Any:
    """Run a node as ComfyUI does: an object of its class, and the method that FUNCTION names."""
    node = package.NODE_CLASS_MAPPINGS[name]
    inputs = node.INPUT_TYPES()
    assert set(given) <= {key for part in inputs.values() for key in part}
    assert set(inputs["required"]) <= set(given)
    return getattr(node(), node.FUNCTION)(**given)


def test_tables_agree(package: ModuleType):
    assert package.NODE_CLASS_MAPPINGS.keys() == package.NODE_DISPLAY_NAME_MAPPINGS.keys()
    for node in package.NODE_CLASS_MAPPINGS.values():
        assert callable(getattr(node, node.FUNCTION))
        assert isinstance(node.RETURN_TYPES, tuple)
        assert len(getattr(node, "RETURN_NAMES", node.RETURN_TYPES)) == len(node.RETURN_TYPES)
    table = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))
    assert "comfy" in table["tool"]


def test_from_pictures_to_files(
    package: ModuleType, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (model,) = call(package, "LeadlineLoadModel", model="lite", device="auto", file=str(tiny_model))
    image = torch.rand(2, 40, 60, 3)
    white, depth, known = call(package, "LeadlineDepth", model=model, image=image, fov_deg=60.0)
    assert white.shape == (2, 40, 60, 3)
    assert white.dtype == torch.float32
    assert (white.amin(), white.amax()) == (0, 1)
    assert known.shape == (2, 40, 60)
    assert [one.camera.fov_deg for one in depth] == pytest.approx([60.0, 60.0])
    alone = model.predict((image[1].numpy() * 255).round().astype(np.uint8))
    np.testing.assert_allclose(depth[1].values, alone.values, rtol=1e-4, atol=1e-5)

    (colors,) = call(package, "LeadlineColorize", depth=depth, cmap="turbo", legend=True)
    assert colors.shape[0] == 2
    assert colors.shape[1] >= 40  # a legend needs a few lines
    assert colors.shape[2] > 60

    comfy = ModuleType("folder_paths")
    comfy.get_output_directory = lambda: str(tmp_path)  # ty: ignore[unresolved-attribute]
    comfy.get_save_image_path = (  # ty: ignore[unresolved-attribute]
        lambda prefix, folder, width, height: (folder, prefix, 7, "", prefix)
    )
    monkeypatch.setitem(sys.modules, "folder_paths", comfy)
    shown = call(package, "LeadlineSaveDepth", depth=depth, format="npz", filename_prefix="room")
    files = [Path(file) for file in shown["ui"]["text"]]
    assert [file.name for file in files] == ["room_00007_.npz", "room_00008_.npz"]
    np.testing.assert_array_equal(read_prediction(files[1]).values, depth[1].values)
