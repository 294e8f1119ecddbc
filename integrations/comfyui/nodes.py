"""Nodes: open a model, predict depth, write depth files.

ComfyUI's pictures are float tensors (b, h, w, 3) in 0..1, its masks (b, h, w). Depth goes between
nodes as LEADLINE_DEPTH, a list of leadline.Prediction, one a picture, so that kind, metres and
camera are not lost on the way.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import leadline
from leadline import viz
from leadline.catalog import DEFAULT
from leadline.io import FORMATS

if TYPE_CHECKING:
    from leadline import DepthEstimator, Prediction

_CATEGORY = "Leadline"


class LoadModel:
    """Open a depth model once for all pictures."""

    CATEGORY = _CATEGORY
    FUNCTION = "load"
    RETURN_TYPES = ("LEADLINE_MODEL",)
    RETURN_NAMES = ("model",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (ComfyUI's name)
        """The catalogue's names, and a text for files and hub ids."""
        return {
            "required": {
                "model": (list(leadline.list_models()), {"default": DEFAULT}),
                "device": (["auto", "cpu", "cuda", "mps"],),
            },
            "optional": {
                "file": ("STRING", {"default": "", "tooltip": "File or hub id in its place."}),
            },
        }

    def load(self, model: str, device: str, file: str = "") -> tuple[DepthEstimator]:
        """The model, ready to predict."""
        return (leadline.load(file or model, device=device),)


class Depth:
    """Predict depth: near is white, as ControlNet's depth networks take it."""

    CATEGORY = _CATEGORY
    FUNCTION = "predict"
    RETURN_TYPES = ("IMAGE", "LEADLINE_DEPTH", "MASK")
    RETURN_NAMES = ("near_white", "depth", "known")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (ComfyUI's name)
        """A model, pictures and their field of view."""
        fov = {"default": 0.0, "min": 0.0, "max": 149.0, "step": 0.5}
        fov["tooltip"] = "Horizontal field of view in degrees, for metres; 0: unknown."
        return {
            "required": {"model": ("LEADLINE_MODEL",), "image": ("IMAGE",)},
            "optional": {"fov_deg": ("FLOAT", fov)},
        }

    def predict(
        self, model: DepthEstimator, image: torch.Tensor, fov_deg: float = 0.0
    ) -> tuple[torch.Tensor, list[Prediction], torch.Tensor]:
        """Grey pictures, predictions and masks of what is known."""
        pixels = (image[..., :3].clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        b, h, w, _ = pixels.shape
        camera = leadline.Camera.from_fov(w, h, fov_deg=fov_deg) if fov_deg > 0 else None
        images = [leadline.Image(pixels=one, camera=camera, name="picture") for one in pixels]
        made = model.predict_batch(images)
        grey = [viz.near_white(viz.nearness(p.values, p.kind), valid=p.valid) for p in made]
        white = torch.from_numpy(np.stack(grey)).float() / 255  # (b, h, w)
        known = torch.from_numpy(np.stack([p.known for p in made])).float()
        return white[..., None].expand(b, h, w, 3).contiguous(), made, known


class Colorize:
    """Depth as colours, with a legend in metres where it is metric."""

    CATEGORY = _CATEGORY
    FUNCTION = "colorize"
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (ComfyUI's name)
        """Depth, a colour map, and whether there is a legend."""
        return {
            "required": {
                "depth": ("LEADLINE_DEPTH",),
                "cmap": (list(viz.CMAPS),),
                "legend": ("BOOLEAN", {"default": False}),
            }
        }

    def colorize(self, depth: list[Prediction], cmap: str, legend: bool) -> tuple[torch.Tensor]:
        """Pictures; those whose legends differ in width get white margins."""
        pictures = [one.colorize(cmap, legend=legend) for one in depth]
        widest = max(picture.shape[1] for picture in pictures)
        padded = [
            np.pad(p, ((0, 0), (0, widest - p.shape[1]), (0, 0)), constant_values=255)
            for p in pictures
        ]
        return (torch.from_numpy(np.stack(padded)).float() / 255,)


class SaveDepth:
    """Write depth files of any of Leadline's formats to ComfyUI's output folder."""

    CATEGORY = _CATEGORY
    FUNCTION = "save"
    RETURN_TYPES = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (ComfyUI's name)
        """Depth, a format and the beginning of the files' names."""
        return {
            "required": {
                "depth": ("LEADLINE_DEPTH",),
                "format": (list(FORMATS), {"default": "exr"}),
                "filename_prefix": ("STRING", {"default": "depth"}),
            }
        }

    def save(
        self,
        depth: list[Prediction],
        format: str,  # noqa: A002 (the name on the node)
        filename_prefix: str,
    ) -> dict[str, Any]:
        """Write a file a picture; the names are shown below the node."""
        import folder_paths  # ComfyUI's own

        h, w = depth[0].size
        base = folder_paths.get_output_directory()
        folder, stem, count, *_ = folder_paths.get_save_image_path(filename_prefix, base, w, h)
        files = []
        for number, one in enumerate(depth, start=count):
            file = Path(folder) / f"{stem}_{number:05}_{FORMATS[format].suffix}"
            one.save(file, format)
            files.append(str(file))
        return {"ui": {"text": files}}


NODE_CLASS_MAPPINGS = {
    "LeadlineLoadModel": LoadModel,
    "LeadlineDepth": Depth,
    "LeadlineColorize": Colorize,
    "LeadlineSaveDepth": SaveDepth,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "LeadlineLoadModel": "Load depth model (Leadline)",
    "LeadlineDepth": "Depth (Leadline)",
    "LeadlineColorize": "Depth as colours (Leadline)",
    "LeadlineSaveDepth": "Save depth (Leadline)",
}
