"""Leadline: depth from one camera.

```python
import leadline

estimator = leadline.load()                    # the embedded model
prediction = estimator.predict("photo.jpg")
prediction.save("depth.npz")
```

Importing this package imports nothing heavy: each public name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from leadline.version import __version__

if TYPE_CHECKING:
    from leadline import models
    from leadline.camera import Camera
    from leadline.catalog import names as list_models
    from leadline.errors import (
        DegenerateError,
        DeviceError,
        InputError,
        JobError,
        KindError,
        LeadlineError,
        LeadlineWarning,
        MissingDependencyError,
        MissingWeightsError,
        TooLargeError,
        UnknownNameError,
        WeightsError,
    )
    from leadline.estimator import DepthEstimator
    from leadline.image import Image
    from leadline.io import read_image
    from leadline.kinds import DepthKind
    from leadline.load_options import LoadOptions, load, wrap
    from leadline.multi_view import MultiView
    from leadline.prediction import Prediction, read_prediction

_HOMES = {
    "Camera": "leadline.camera",
    "DegenerateError": "leadline.errors",
    "DepthEstimator": "leadline.estimator",
    "DepthKind": "leadline.kinds",
    "DeviceError": "leadline.errors",
    "Image": "leadline.image",
    "InputError": "leadline.errors",
    "JobError": "leadline.errors",
    "KindError": "leadline.errors",
    "LeadlineError": "leadline.errors",
    "LeadlineWarning": "leadline.errors",
    "LoadOptions": "leadline.load_options",
    "MissingDependencyError": "leadline.errors",
    "MissingWeightsError": "leadline.errors",
    "MultiView": "leadline.multi_view",
    "Prediction": "leadline.prediction",
    "TooLargeError": "leadline.errors",
    "UnknownNameError": "leadline.errors",
    "WeightsError": "leadline.errors",
    "list_models": "leadline.catalog:names",
    "load": "leadline.load_options",
    "models": "leadline.models:",
    "read_image": "leadline.io",
    "read_prediction": "leadline.prediction",
    "wrap": "leadline.load_options",
}
"""Public name -> module, with ``:name`` where it has another name there; ``:`` = the module."""

__all__ = [
    "Camera",
    "DegenerateError",
    "DepthEstimator",
    "DepthKind",
    "DeviceError",
    "Image",
    "InputError",
    "JobError",
    "KindError",
    "LeadlineError",
    "LeadlineWarning",
    "LoadOptions",
    "MissingDependencyError",
    "MissingWeightsError",
    "MultiView",
    "Prediction",
    "TooLargeError",
    "UnknownNameError",
    "WeightsError",
    "__version__",
    "list_models",
    "load",
    "models",
    "read_image",
    "read_prediction",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'leadline' has no attribute {name!r}")
    value = _fetch(*_HOMES[name].partition(":"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _fetch(home: str, colon: str, there: str, name: str) -> ModuleType | Any:
    module = importlib.import_module(home)
    if colon and not there:
        return module
    return getattr(module, there or name)
