"""A Python function as a runtime: any network, of any package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.spec import ModelSpec

Function = Callable[[Any], Any]


class FunctionRuntime:
    """A function that runs a network; where and how it computes is its own affair.

    Args:
        function: see :func:`leadline.wrap`.
        spec: what it takes and gives.
    """

    name = "function"
    device = "its own device"
    precision = "its own precision"

    def __init__(self, function: Function, spec: ModelSpec) -> None:
        self._function = function
        self._spec = spec

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See :class:`~leadline.runtime.base.Runtime`.

        Raises:
            InputError: the function returns what is no output of the model.
        """
        given = arrays["image"] if self._spec.inputs == ("image",) else dict(arrays)
        outputs, known = self._function(given), list(self._spec.outputs)
        if not isinstance(outputs, Mapping):
            if len(known) > 1:
                raise InputError(
                    f"the function of {self._spec.name} returned one {type(outputs).__name__}, but "
                    f"its ModelSpec names the outputs {known}; return a dict of arrays with these "
                    "names."
                )
            outputs = {known[0]: outputs}
        unknown = sorted(str(name) for name in outputs if name not in known)
        if unknown:
            raise InputError(
                f"the function of {self._spec.name} returned {unknown}, but its ModelSpec names "
                f"the outputs {known}; rename one of them."
            )
        count = len(arrays["image"])
        return {name: self._to_array(name, output, count) for name, output in outputs.items()}

    def _to_array(self, name: str, output: Any, count: int) -> np.ndarray:
        try:
            array = np.asarray(output, dtype=np.float32)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{name!r} from the function of {self._spec.name} is a {type(output).__name__} "
                f"that does not become an array ({error}); return numpy arrays; in Python, of a "
                "torch tensor, tensor.detach().cpu().numpy()."
            ) from error
        if array.ndim < 1 or len(array) != count:
            raise InputError(
                f"{name!r} from the function of {self._spec.name} has shape {array.shape}; its "
                f"first axis is the batch, of {count} here. Return one value or map a picture."
            )
        return array
