"""How to tell whose a checkpoint is: a few tensor names and shapes per model.

Used only to word the error when weights do not fit. Names are those after ``load_weights`` has
taken the wrappers off. To add a model, append a Signature; two or three marks are enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Marks = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What tells a checkpoint.

    Attributes:
        title: whose it is, in words.
        models: names of ``leadline.models`` that it fits, likeliest first; none for files that are
            part of a model or that no model of ours takes.
        marks: tensor name -> shape; all must be there.
        advice: what to do with it where ``models`` is empty.
    """

    title: str
    models: tuple[str, ...] = ()
    marks: Marks
    advice: str = ""

    def fits(self, shapes: Marks) -> bool:
        """Whether every mark is among ``shapes``."""
        return all(shapes.get(name) == shape for name, shape in self.marks.items())


def _depth_anything(size: str, width: int, features: int) -> tuple[Signature, ...]:
    positions, head = (1, 1370, width), (features // 2, features, 3, 3)
    models = tuple(
        f"depth-anything-{version}-{size}"
        for version in ("v2", "v1", "v2-metric-indoor", "v2-metric-outdoor")
        if size != "vitg" or version == "v2"
    )
    title = f"Depth Anything {size.replace('vit', 'ViT-').upper().replace('VIT', 'ViT')}"
    return (
        Signature(
            title=title,
            models=models,
            marks={
                "pretrained.pos_embed": positions,
                "depth_head.scratch.output_conv1.weight": head,
            },
        ),
        Signature(
            title=f"{title} in transformers' layout",
            models=models,
            marks={
                "backbone.embeddings.position_embeddings": positions,
                "head.conv1.weight": head,
            },
        ),
        Signature(
            title=f"the encoder of {title} alone (DINOv2)",
            marks={"pos_embed": positions, "blocks.0.ls1.gamma": (width,)},
            advice=(
                f"build 'depth-anything-v2-{size}' and load it into module.pretrained to train "
                "from it; it has no depth head"
            ),
        ),
    )


SIGNATURES: tuple[Signature, ...] = (
    *_depth_anything("vits", 384, 64),
    *_depth_anything("vitb", 768, 128),
    *_depth_anything("vitl", 1024, 256),
    *_depth_anything("vitg", 1536, 384),
)
