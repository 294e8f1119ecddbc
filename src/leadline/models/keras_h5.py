"""Read the weights of a Keras ``.h5`` file without Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from leadline.errors import MissingDependencyError, WeightsError

_MAGIC = b"\x89HDF\r\n\x1a\n"


def read_h5(path: Path) -> dict[str, np.ndarray] | None:
    """The weights of a Keras model file or weights file.

    Args:
        path: written by ``model.save`` or ``model.save_weights`` in Keras's HDF5 format. The
            optimiser's state and the model's Python parts are not touched.

    Returns:
        ``layer/weight`` (``conv2/kernel``) -> array in Keras's layout (kernels are
        (h, w, in, out)); None when ``path`` is no HDF5 file.

    Raises:
        MissingDependencyError: h5py is not installed.
        WeightsError: an HDF5 file that is not Keras's, or is damaged.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if file.read(8) != _MAGIC:
            return None
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError("h5py", "a Keras .h5 file", "data") from error
    try:
        with h5py.File(path, "r") as file:
            return _weights(file.get("model_weights", file))
    except (OSError, KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{path.name} is damaged or not a file of Keras weights ({error}). Download it again."
        ) from error


def _weights(root: Any) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for layer in _texts(root.attrs["layer_names"]):
        names = _texts(root[layer].attrs["weight_names"])
        parents = {name.rpartition("/")[0] for name in names}
        for name in names:
            parent, _, leaf = name.removesuffix(":0").rpartition("/")
            # A layer's own name is surer than the weight's, which Keras may number; a model
            # inside the model has many layers in one group and only the weights' names tell.
            owner = layer if len(parents) == 1 else parent
            arrays[f"{owner}/{leaf}"] = np.asarray(root[layer][name])
    return arrays


def _texts(names: Any) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]
