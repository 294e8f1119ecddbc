"""ServedModel: a model under the name that requests call it by."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from leadline import catalog
from leadline.errors import InputError, LeadlineError
from leadline.estimator import DepthEstimator
from leadline.licences import describe_use, find_terms
from leadline.load_options import LoadOptions
from leadline.serve.faults import Fault

log = logging.getLogger("leadline.serve")
_WARM = (480, 640)  # the usual shape of pictures: its compilation is made before the first comes

ModelLike = LoadOptions | DepthEstimator | str | os.PathLike[str]


class ServedModel:
    """A model that is opened while the server answers already.

    Args:
        source: how to open it, or an open one.

    Attributes:
        name: of the catalogue, or the stem of the file.
    """

    def __init__(self, source: ModelLike) -> None:
        self._source = source if isinstance(source, DepthEstimator) else LoadOptions.of(source)
        self._open: DepthEstimator | None = None
        self._error = ""
        found = self._source
        self.name = found.spec.name if isinstance(found, DepthEstimator) else _name_of(found)

    @property
    def state(self) -> Literal["loading", "ready", "failed"]:
        """Whether it can predict."""
        if self._error:
            return "failed"
        return "loading" if self._open is None else "ready"

    @property
    def estimator(self) -> DepthEstimator:
        """The open model.

        Raises:
            Fault: 503 while it loads, or when it could not be opened.
        """
        if self._error:
            raise Fault(503, "model_failed", self._error)
        if self._open is None:
            raise Fault(
                503, "loading", f"{self.name} is being loaded; try again.", {"Retry-After": "2"}
            )
        return self._open

    def load(self) -> None:
        """Open the model and run it once."""
        source = self._source
        try:
            estimator = source if isinstance(source, DepthEstimator) else source.open()
        except Exception as error:
            self._error = f"{self.name} could not be opened: {' '.join(str(error).split())}"
            log.error(self._error, exc_info=not isinstance(error, LeadlineError))
            return
        try:
            estimator.predict(np.full((*_WARM, 3), 127, np.uint8))
        except LeadlineError as error:  # it needs more than a picture
            log.info("%s was not warmed up: %s", self.name, error)
        self._open = estimator

    def describe(self) -> dict[str, Any]:
        """What clients may know; of a model that is not ready, name and state."""
        shown: dict[str, Any] = {"name": self.name, "state": self.state}
        if self._error:
            shown["error"] = self._error
        if self._open is None:
            return shown
        spec = self._open.spec
        licence = self.licence
        return shown | {
            "kind": str(spec.kind),
            "unit": spec.kind.unit,
            "metric": spec.kind.is_metric,
            "larger_is_nearer": spec.kind.larger_is_nearer,
            "max_depth": spec.max_depth,
            "needs_lens": spec.canonical_focal_px is not None,
            "inputs": list(spec.inputs),
            "outputs": {name: output.role for name, output in spec.outputs.items()},
            "licence": licence,
            "commercial_use": find_terms(licence).commercial,
            "licence_note": describe_use(licence).strip(" ()"),
            "summary": spec.summary,
            "paper": spec.paper,
            "runtime": self._open.runtime.name,
            "device": self._open.runtime.device,
            "precision": self._open.runtime.precision,
        }

    @property
    def licence(self) -> str:
        """Of the weights, as far as it is known."""
        weights = () if self._open is None else self._open.spec.weights
        return weights[0].licence if weights else "unknown"


class Models:
    """The models of a server; a request names one, or gets the first.

    Args:
        sources: what is served, the default first.

    Raises:
        InputError: none, or two of one name.
    """

    def __init__(self, sources: Sequence[ModelLike]) -> None:
        self.all = [ServedModel(source) for source in sources]
        self._by_name = {model.name: model for model in self.all}
        if not self.all or len(self._by_name) < len(self.all):
            names = ", ".join(model.name for model in self.all) or "none"
            raise InputError(f"models {names}: one or more are needed, each of another name.")

    def find(self, name: str | None) -> ServedModel:
        """The model of this name; None: the first.

        Raises:
            Fault: 404, with the names that there are.
        """
        if name is None:
            return self.all[0]
        found = self._by_name.get(catalog.expand_alias(name))
        if found is None:
            raise Fault(
                404,
                "unknown_model",
                f"model {name!r} is not served here; {', '.join(self._by_name)} are.",
            )
        return found


def _name_of(load: LoadOptions) -> str:
    given = load.model if load.model is not None else load.weights
    if given is None:
        return catalog.DEFAULT
    name = catalog.expand_alias(os.fspath(given))
    return name if name in catalog.MODELS else Path(name).stem
