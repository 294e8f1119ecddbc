"""Networks of the ``transformers`` package, with its own processors: the ``[hf]`` extra.

The picture goes through as grey levels, and the map comes back at the picture's size: the processor
that lies beside the weights decides on input size, normalisation and the way back.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from PIL import Image

from leadline.errors import InputError, MissingDependencyError, WeightsError
from leadline.runtime.torch import TorchRuntime

if TYPE_CHECKING:
    from torch import Tensor

    from leadline.runtime.base import DeviceName, Precision

_UNUSED = re.compile(r"neck\.fusion_stage\.layers\.0\.residual_layer1\.")
"""What DPT's first fusion layer never runs, so that its authors' files lack it."""


class TransformersNetwork:
    """A network for depth estimation and the processor that belongs to it.

    Args:
        folder: ``config.json``, weights and ``preprocessor_config.json``, as ``save_pretrained``
            writes them. Code in it is never run, and nothing is downloaded.

    Raises:
        MissingDependencyError: transformers, torch or torchvision is not installed.
        WeightsError: a file is missing or damaged, or lacks tensors.
    """

    def __init__(self, folder: Path) -> None:
        package = _import_transformers()
        rules = {"trust_remote_code": False, "local_files_only": True}
        try:
            with _quiet(package.utils.logging):
                self._processor = package.AutoImageProcessor.from_pretrained(folder, **rules)
                self._network, report = package.AutoModelForDepthEstimation.from_pretrained(
                    folder, output_loading_info=True, **rules
                )
        except Exception as error:  # its errors are of many classes
            raise WeightsError(
                f"{folder} cannot be opened by transformers {package.__version__}: "
                f"{_shorten(error)}. Copy the whole folder again, with config.json, "
                "preprocessor_config.json and weights; a newer transformers may know more."
            ) from error
        keys = [*report["missing_keys"], *report["mismatched_keys"]]
        missing = sorted(str(key) for key in keys if not _UNUSED.match(str(key)))
        if missing:
            raise WeightsError(
                f"the weights in {folder} lack {len(missing)} tensors of the network that its "
                f"config.json describes, or have them in other shapes ({', '.join(missing[:3])} "
                "...). Copy config.json and weights from one place."
            )
        self._network.float()  # the file may hold halves
        self._family = str(self._network.config.model_type)

    def to(self, device: str) -> Self:
        """Move the weights."""
        self._network.to(device)
        return self

    def eval(self) -> Self:
        """Leave training mode."""
        self._network.eval()
        return self

    def outputs(self, image: Tensor, prompt_depth: Tensor | None = None) -> dict[str, Tensor]:
        """Maps at the pictures' size.

        Args:
            image: (b, 3, h, w) grey levels 0 to 255.
            prompt_depth: (b, h', w') metres.

        Returns:
            ``depth`` (b, h, w); of Depth Pro ``canonical_inverse_depth`` (b, h, w) and, where the
            network has it, ``fov_deg`` (b,).

        Raises:
            InputError: pictures that the processor or the network cannot take.
        """
        levels = image.round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
        pictures = [Image.fromarray(one) for one in levels]
        prompt: dict[str, Any] = {}
        if prompt_depth is not None:
            depths = list(prompt_depth.float().cpu().numpy())
            prompt = {"prompt_depth": depths, "prompt_scale_to_meter": 1.0}
        try:
            inputs = self._processor(images=pictures, return_tensors="pt", **prompt)
            outputs = self._network(**inputs.to(image.device))
            for name in {"predicted_depth", "field_of_view"} & set(outputs):
                outputs[name] = outputs[name].float()  # from lower precisions
            return self._restore(outputs, image)
        except (RuntimeError, ValueError, ZeroDivisionError) as error:
            height, width = image.shape[2:]
            raise InputError(
                f"a picture of {height}x{width} pixels is none that this {self._family} of "
                f"transformers takes: {_shorten(error)}. Give a larger one, or other weights."
            ) from error

    def _restore(self, outputs: Any, image: Tensor) -> dict[str, Tensor]:
        count, _, height, width = image.shape
        sizes = "source_sizes" if self._family == "zoedepth" else "target_sizes"
        made = self._processor.post_process_depth_estimation(
            outputs, **{sizes: [(height, width)] * count}
        )
        like = outputs["predicted_depth"]
        depth = like.new_empty(count, height, width)
        for place, one in enumerate(made):
            depth[place] = one["predicted_depth"].reshape(height, width)
        if self._family != "depth_pro":
            return {"depth": depth}
        if outputs.get("field_of_view") is None:
            return {"canonical_inverse_depth": 1 / depth}
        focal_px = like.new_tensor([float(one["focal_length"]) for one in made])  # (b,)
        inverse = focal_px[:, None, None] / (width * depth)
        fov_deg = like.new_tensor([float(one["field_of_view"]) for one in made])  # (b,)
        return {"canonical_inverse_depth": inverse, "fov_deg": fov_deg}


def open_folder(
    folder: Path,
    *,
    device: DeviceName = "cpu",
    precision: Precision = "f32",
    threads: int | None = None,
) -> TorchRuntime:
    """Open a folder in transformers' layout on PyTorch.

    Args:
        folder: see :class:`TransformersNetwork`.
        device: where to run.
        precision: arithmetic.
        threads: number of threads for the whole process; None leaves PyTorch's choice.
    """
    network = TransformersNetwork(folder)
    return TorchRuntime(
        network, name="transformers", device=device, precision=precision, threads=threads
    )


def families() -> tuple[str, ...]:
    """``model_type`` of every depth network that the installed transformers has.

    Raises:
        MissingDependencyError: transformers is not installed.
    """
    _import_transformers()
    from transformers.models.auto.modeling_auto import MODEL_FOR_DEPTH_ESTIMATION_MAPPING_NAMES

    return tuple(MODEL_FOR_DEPTH_ESTIMATION_MAPPING_NAMES)


def _import_transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError("transformers", "a network of transformers", "hf") from error
    return transformers


@contextmanager
def _quiet(logging: Any) -> Generator[None]:
    """Without progress bars and reports: what matters of these is raised."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
