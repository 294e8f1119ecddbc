"""The public names, and what importing and predicting do not import."""

import subprocess
import sys
from pathlib import Path

import pytest

import leadline

HEAVY = ("numpy", "PIL", "openvino", "onnxruntime", "torch", "huggingface_hub", "cv2")


def modules_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after ``code``."""
    code += "\nimport sys\nprint('\\n'.join(sorted({m.split('.')[0] for m in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines())


def test_every_public_name_is_there_and_documented() -> None:
    for name in leadline.__all__:
        value = getattr(leadline, name)
        assert name.startswith("__") or value.__doc__, name


def test_all_is_the_door_and_nothing_else() -> None:
    assert sorted(leadline.__all__) == leadline.__all__ == dir(leadline)
    assert set(leadline._HOMES) | {"__version__"} == set(leadline.__all__)


def test_an_absent_name_is_told() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'predict'"):
        leadline.predict  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not modules_after("import leadline; leadline.LeadlineError").intersection(HEAVY)


def test_importing_the_networks_table_imports_no_torch() -> None:
    code = "import leadline; leadline.models.names(); leadline.list_models()"
    assert "torch" not in modules_after(code)


def test_predicting_with_an_exported_network_imports_no_torch(tiny_model: Path) -> None:
    code = (
        "import leadline, numpy as np\n"
        f"estimator = leadline.load({str(tiny_model)!r})\n"
        "estimator.predict(np.zeros((40, 50, 3), np.uint8)).colorize()"
    )
    loaded = modules_after(code)
    assert "openvino" in loaded
    assert not loaded.intersection({"torch", "torchvision", "timm", "cv2", "huggingface_hub"})


def test_predicting_with_the_embedded_model_imports_no_torch() -> None:
    from leadline import catalog, hub

    if hub.locate(catalog.get("lite").weights[0]) is None:
        pytest.skip("the embedded file is not in this copy")
    code = "import leadline, numpy as np\nleadline.load().predict(np.zeros((40, 50, 3), np.uint8))"
    assert not modules_after(code).intersection({"torch", "torchvision", "timm", "cv2"})
