"""How to tell whose a checkpoint is: a few tensor names and shapes per model.

Used only to word the error when weights do not fit. Names are those after ``load_weights`` has
taken the wrappers off. To add a model, append a Signature; two or three marks are enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Marks = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
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
    models: tuple[str, ...]
    marks: Marks
    advice: str = ""

    def fits(self, shapes: Marks) -> bool:
        """Whether every mark is among ``shapes``."""
        return all(shapes.get(name) == shape for name, shape in self.marks.items())


def _in_words(size: str) -> str:
    return f"ViT-{size.removeprefix('vit').upper()}"


def _depth_anything(size: str, width: int, features: int) -> tuple[Signature, ...]:
    positions, head = (1, 1370, width), (features // 2, features, 3, 3)
    models = tuple(
        f"depth-anything-{version}-{size}"
        for version in ("v2", "v1", "v2-metric-indoor", "v2-metric-outdoor")
        if size != "vitg" or version == "v2"
    )
    title = f"Depth Anything {_in_words(size)}"
    return (
        Signature(
            title,
            models,
            {"pretrained.pos_embed": positions, "depth_head.scratch.output_conv1.weight": head},
        ),
        Signature(
            f"{title} in transformers' layout",
            models,
            {"backbone.embeddings.position_embeddings": positions, "head.conv1.weight": head},
        ),
        Signature(
            f"the encoder of {title} alone (DINOv2)",
            (),
            {"pos_embed": positions, "blocks.0.ls1.gamma": (width,)},
            advice=(
                f"build 'depth-anything-v2-{size}' and load it into module.pretrained to train "
                "from it; it has no depth head"
            ),
        ),
    )


def _video_depth_anything(size: str, width: int, features: int) -> Signature:
    norm = "head.motion_modules.{}.temporal_transformer.norm.weight"
    return Signature(
        f"Video Depth Anything ViT-{size[-1].upper()}",
        (f"video-depth-anything-{size}", f"video-depth-anything-metric-{size}"),
        {
            "pretrained.pos_embed": (1, 1370, width),
            norm.format(1): (width,),
            norm.format(3): (features,),
        },
    )


def _prompt_depth_anything(size: str, width: int, features: int) -> tuple[Signature, ...]:
    name, branch = f"prompt-depth-anything-{size}", (features, 1, 3, 3)
    title = f"Prompt Depth Anything {_in_words(size)}"
    return (
        Signature(
            title,
            (name,),
            {
                "pretrained.pos_embed": (1, 1370, width),
                "depth_head.scratch.refinenet1.resConfUnit_depth.0.weight": branch,
            },
        ),
        Signature(
            f"{title} in transformers' layout",
            (name,),
            {
                "backbone.embeddings.position_embeddings": (1, 1370, width),
                "neck.fusion_stage.layers.0.prompt_depth_layer.convolution1.weight": branch,
            },
        ),
    )


def _midas(name: str, stem: tuple[int, ...], features: int) -> Signature:
    marks = {
        "pretrained.layer1.0.weight": stem,
        "scratch.output_conv.0.weight": (features // 2, features, 3, 3),
    }
    return Signature(name, (name,), marks)


def _dpt(name: str, original: Marks, saved: Marks) -> tuple[Signature, Signature]:
    head = (128, 256, 3, 3)
    return (
        Signature(f"MiDaS {name}", (name,), {**original, "scratch.output_conv.0.weight": head}),
        Signature(
            f"MiDaS {name} in transformers' layout", (name,), {**saved, "head.head.0.weight": head}
        ),
    )


_ZOEDEPTH_HEADS = (("n", "0", 16), ("k", "0", 32), ("nk", "nyu.0", 16))
"""Variant, its first attractor layer, and that layer's outputs."""


def _zoedepth(suffix: str, core: Marks) -> tuple[Signature, ...]:
    return tuple(
        Signature(
            f"ZoeDepth-{key.upper()}",
            (f"zoedepth-{key}{suffix}",),
            {**core, f"attractors.{place}._net.2.weight": (count, 128, 1, 1)},
        )
        for key, place, count in _ZOEDEPTH_HEADS
    )


_ZOEDEPTH_TRANSFORMERS = tuple(
    Signature(
        f"ZoeDepth-{key.upper()} in transformers' layout",
        (f"zoedepth-{key}",),
        {f"metric_head.attractors.{place}.conv2.weight": (count, 128, 1, 1)},
    )
    for key, place, count in _ZOEDEPTH_HEADS
)

_DEPTH_PRO = tuple(
    Signature(title, ("depth-pro",), {name: (1, 577, 1024)})
    for title, name in (
        ("Depth Pro", "encoder.patch_encoder.pos_embed"),
        (
            "Depth Pro in transformers' layout",
            "depth_pro.encoder.patch_encoder.model.embeddings.position_embeddings",
        ),
    )
)

_DEPTH_ANYTHING_3 = (
    *(
        Signature(
            f"Depth Anything 3 {size}",
            (f"da3-{size}",),
            {"backbone.pretrained.camera_token": (1, 2, width), "head.norm.weight": (2 * width,)},
        )
        for size, width in (("small", 384), ("base", 768), ("large", 1024), ("giant", 1536))
    ),
    Signature(
        "Depth Anything 3 mono or metric",
        ("da3mono-large", "da3metric-large"),
        {
            "backbone.pretrained.pos_embed": (1, 1370, 1024),
            "head.scratch.sky_output_conv2.2.weight": (1, 32, 1, 1),
        },
    ),
    Signature(
        "Depth Anything 3 nested",
        ("da3nested-giant-large",),
        {
            "da3.backbone.pretrained.camera_token": (1, 2, 1536),
            "da3_metric.head.scratch.sky_output_conv2.2.weight": (1, 32, 1, 1),
        },
    ),
)

_CONVOLUTIONAL = (
    Signature(
        "FastDepth",
        ("fastdepth",),
        {"conv0.0.weight": (32, 3, 3, 3), "decode_conv3.0.0.weight": (256, 1, 5, 5)},
    ),
    Signature(
        "FastDepth with concatenated skips",
        ("fastdepth-concat",),
        {"conv0.0.weight": (32, 3, 3, 3), "decode_conv3.0.0.weight": (512, 1, 5, 5)},
    ),
    Signature(
        "FastDepth without skips",
        ("fastdepth-plain",),
        {"mobilenet.0.0.weight": (32, 3, 3, 3), "decoder.conv1.0.0.weight": (1024, 1, 5, 5)},
    ),
    Signature(
        "FastDepth, pruned",
        ("fastdepth-pruned",),
        {"conv0.0.weight": (16, 3, 3, 3), "decode_conv3.0.0.weight": (256, 1, 5, 5)},
    ),
    *(
        Signature(
            f"Monodepth2 with ResNet-{depth}",
            (f"monodepth2-r{depth}",),
            {
                "encoder.encoder.conv1.weight": (64, 3, 7, 7),
                "decoder.decoder.0.conv.conv.weight": (256, width, 3, 3),
            },
        )
        for depth, width in ((18, 512), (50, 2048))
    ),
    Signature(
        "the encoder of Monodepth2 alone (encoder.pth)",
        (),
        {"encoder.conv1.weight": (64, 3, 7, 7), "encoder.bn1.weight": (64,)},
        advice="give the folder that holds encoder.pth and depth.pth to monodepth2-r18",
    ),
    *(
        Signature(
            title,
            (name,),
            {
                "encoder.original_model.features.conv0.weight": (64, 3, 7, 7),
                "decoder.conv2.weight": (width, 1664, 1, 1),
            },
        )
        for name, title, width in (
            ("densedepth", "DenseDepth", 1664),
            ("densedepth-half", "DenseDepth of half the width", 832),
        )
    ),
    Signature(
        "Monodepth with a VGG encoder",
        ("monodepth-vgg",),
        {"encoder.blocks.0.0.weight": (32, 3, 7, 7), "decoder.upconv7.bias": (512,)},
    ),
    Signature(
        "Monodepth with ResNet-50",
        ("monodepth-resnet50",),
        {"encoder.conv1.weight": (64, 3, 7, 7), "decoder.upconv6.bias": (512,)},
    ),
    *(
        Signature(
            f"Eigen 2014 for {place}",
            (f"eigen14-{place.lower()}",),
            {"coarse.conv1.weight": (96, 3, 11, 11), "coarse.full2.bias": (places,)},
        )
        for place, places in (("NYU", 55 * 74), ("KITTI", 27 * 142))
    ),
)


def _moge2(size: str, width: int) -> tuple[Signature, Signature]:
    marks = {"encoder.backbone.pos_embed": (1, 1370, width), "scale_head.4.weight": (1, width)}
    title, name = f"MoGe-2 ViT-{size[-1].upper()}", f"moge-2-{size}"
    return (
        Signature(
            f"{title} with normals",
            (f"{name}-normal",),
            {**marks, "normal_head.output_blocks.4.bias": (3,)},
        ),
        Signature(title, (name,), marks),
    )


_MOGE = (
    Signature(
        "MoGe-1 ViT-L",
        ("moge-1-vitl",),
        {"backbone.pos_embed": (1, 1370, 1024), "head.output_block.1.2.weight": (1, 32, 1, 1)},
    ),
    *_moge2("vits", 384),
    *_moge2("vitb", 768),
    *_moge2("vitl", 1024),
)

_METRIC3D = tuple(
    Signature(
        f"Metric3D v2 ViT-{title}",
        (f"metric3d-v2-{size}",),
        {"depth_model.encoder.register_tokens": (1, 4, width)},
    )
    for size, title, width in (("vits", "S", 384), ("vitl", "L", 1024), ("giant2", "g", 1536))
)

_UNIDEPTH = tuple(
    Signature(
        f"UniDepth v2 ViT-{size[-1].upper()}",
        (f"unidepth-v2-{size}",),
        {
            "pixel_encoder.pos_embed": (1, 1370, width),
            "pixel_decoder.camera_layer.latents_pos": (1, 4, hidden),
        },
    )
    for size, width, hidden in (("vits", 384, 256), ("vitb", 768, 384), ("vitl", 1024, 512))
)


SIGNATURES: tuple[Signature, ...] = (
    Signature(
        "Leadline's own lite",
        ("lite",),
        {"context.reduce.weight": (192, 322, 1, 1), "head.weight": (1, 32, 3, 3)},
    ),
    # Before Depth Anything, whose marks these files carry too.
    *_prompt_depth_anything("vits", 384, 64),
    *_prompt_depth_anything("vitl", 1024, 256),
    *_depth_anything("vits", 384, 64),
    *_depth_anything("vitb", 768, 128),
    *_depth_anything("vitl", 1024, 256),
    *_depth_anything("vitg", 1536, 384),
    _video_depth_anything("vits", 384, 64),
    _video_depth_anything("vitb", 768, 128),
    _video_depth_anything("vitl", 1024, 256),
    *_DEPTH_PRO,
    *_DEPTH_ANYTHING_3,
    _midas("midas-v21-small", (32, 3, 3, 3), 64),
    _midas("midas-v21", (64, 3, 7, 7), 256),
    *_dpt(
        "dpt-large-384",
        {"pretrained.model.pos_embed": (1, 577, 1024)},
        {"dpt.embeddings.position_embeddings": (1, 577, 1024)},
    ),
    *_dpt(
        "dpt-hybrid-384",
        {"pretrained.model.pos_embed": (1, 577, 768)},
        {"dpt.embeddings.position_embeddings": (1, 577, 768)},
    ),
    *_dpt(
        "dpt-beit-base-384",
        {"pretrained.model.blocks.0.gamma_1": (768,)},
        {"backbone.encoder.layer.0.lambda_1": (768,)},
    ),
    *_dpt(
        "dpt-beit-large-384",
        {"pretrained.model.blocks.0.gamma_1": (1024,)},
        {"backbone.encoder.layer.0.lambda_1": (1024,)},
    ),
    *_zoedepth("", {"core.core.pretrained.model.blocks.0.gamma_1": (1024,)}),
    *_zoedepth("-depth-anything-vits", {"core.core.pretrained.pos_embed": (1, 1370, 384)}),
    *_zoedepth("-depth-anything-vitl", {"core.core.pretrained.pos_embed": (1, 1370, 1024)}),
    *_ZOEDEPTH_TRANSFORMERS,
    *_CONVOLUTIONAL,
    *_MOGE,
    *_METRIC3D,
    *_UNIDEPTH,
)
