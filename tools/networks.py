"""Which networks the pages of docs/models draw, and which of their modules are boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["picture", "encoder", "decoder", "head", "map"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A box.

    Attributes:
        label: above its shape.
        source: ``module``, or ``module#0.2`` for a part of its output; ``in`` is the picture,
            ``out`` what the network returns.
        role: which colour.
        note: a fourth line; ``module`` behind ``@`` stands for that module's shape.
    """

    label: str
    source: str
    role: Role
    note: str = ""
    channels_last: bool = False


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A network.

    Attributes:
        name: of the file, and of the page.
        model: in the catalogue, or a part of ``leadline.models``.
        rows: boxes from left to right; each is fed by the one before it.
        skips: (from, to), labels of stages.
    """

    name: str
    model: str
    rows: tuple[tuple[Stage, ...], ...]
    skips: tuple[tuple[str, str], ...] = ()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All boxes."""
        return tuple(stage for row in self.rows for stage in row)


PICTURE = Stage(label="picture", source="in", role="picture")


def _out(label: str) -> Stage:
    return Stage(label=label, source="out", role="map")


def _stages(role: Role, **sources: str) -> tuple[Stage, ...]:
    return tuple(
        Stage(label=label.replace("_", " "), source=source, role=role)
        for label, source in sources.items()
    )


def _tokens(blocks: Sequence[int], encoder: str, reassembled: str) -> tuple[Stage, ...]:
    return tuple(
        Stage(
            label=f"block {block + 1}",
            source=f"{encoder}.blocks.{block}",
            role="encoder",
            note=f"→ @{reassembled.format(index, index + 1)}",
        )
        for index, block in enumerate(blocks)
    )


def _fusion(prefix: str) -> tuple[Stage, ...]:
    return tuple(
        Stage(label=f"fuse {n}", source=f"{prefix}.refinenet{n}", role="decoder")
        for n in (4, 3, 2, 1)
    )


def _skips_to_fusion(*sources: str) -> tuple[tuple[str, str], ...]:
    """The first three of four encoder maps skip to their fusion."""
    return tuple((label, f"fuse {n}") for n, label in enumerate(sources, 1))


DRAWINGS = (
    Drawing(
        name="eigen14",
        model="eigen14-nyu",
        rows=(
            (
                PICTURE,
                *_stages("encoder", **{f"conv{n}": f"coarse.conv{n}" for n in range(1, 6)}),
                *_stages("head", full1="coarse.full1", full2="coarse.full2", coarse="coarse"),
            ),
            (
                Stage(label="picture again", source="in", role="picture"),
                *_stages("decoder", fine_1="fine.conv1", fine_2="fine.conv2"),
                Stage(label="fine 3", source="fine.conv3", role="map", note="log depth"),
            ),
        ),
        skips=(("coarse", "fine 2"),),
    ),
    Drawing(
        name="stn",
        model="stn",
        rows=(
            (
                PICTURE,
                *_stages(
                    "encoder",
                    conv1="localisation.features.0",
                    conv2="localisation.features.2",
                    conv3="localisation.features.4",
                    mean_of_places="localisation.features.6",
                    full="localisation.full",
                ),
                Stage(label="theta", source="localisation.theta", role="head", note="affine"),
                Stage(
                    label="grid",
                    source="out#2",
                    role="head",
                    note="x and y",
                    channels_last=True,
                ),
            ),
            (
                Stage(label="picture again", source="in", role="picture"),
                Stage(label="sampler", source="out#0", role="map", note="bilinear"),
            ),
        ),
        skips=(("grid", "sampler"),),
    ),
    Drawing(
        name="monodepth",
        model="monodepth-vgg",
        rows=(
            (
                PICTURE,
                *_stages("encoder", **{f"conv{n + 1}": f"encoder#{n}" for n in range(7)}),
                *_stages("decoder", **{f"iconv{n}": f"decoder.iconv{n}" for n in (7, 6, 5)}),
                *(
                    Stage(
                        label=f"iconv{n}", source=f"decoder.iconv{n}", role="decoder", note="→ disp"
                    )
                    for n in (4, 3, 2, 1)
                ),
                Stage(label="disp1", source="decoder.disp1", role="map", note="left, right"),
            ),
        ),
        skips=(*((f"conv{n}", f"iconv{n + 1}") for n in range(1, 7)),),
    ),
    Drawing(
        name="monodepth2",
        model="monodepth2-r18",
        rows=(
            (
                PICTURE,
                *_stages(
                    "encoder",
                    conv1="encoder#0",
                    layer1="encoder#1",
                    layer2="encoder#2",
                    layer3="encoder#3",
                    layer4="encoder#4",
                ),
                *_stages("decoder", up4="decoder.decoder.1"),
                *(
                    Stage(
                        label=f"up{n}",
                        source=f"decoder.decoder.{9 - 2 * n}",
                        role="decoder",
                        note=f"→ disp{n}",
                    )
                    for n in (3, 2, 1, 0)
                ),
                Stage(label="sigmoid", source="decoder.decoder.10", role="map"),
            ),
        ),
        skips=(
            ("conv1", "up1"),
            ("layer1", "up2"),
            ("layer2", "up3"),
            ("layer3", "up4"),
        ),
    ),
    Drawing(
        name="densedepth",
        model="densedepth",
        rows=(
            (
                PICTURE,
                *_stages(
                    "encoder",
                    norm0="encoder#0",
                    pool0="encoder#1",
                    transition1="encoder#2",
                    transition2="encoder#3",
                    norm5="encoder#4",
                ),
                *_stages(
                    "decoder",
                    conv2="decoder.conv2",
                    up1="decoder.up1",
                    up2="decoder.up2",
                    up3="decoder.up3",
                    up4="decoder.up4",
                ),
                Stage(label="conv3", source="decoder.conv3", role="map", note="10 m / depth"),
            ),
        ),
        skips=(
            ("norm0", "up4"),
            ("pool0", "up3"),
            ("transition1", "up2"),
            ("transition2", "up1"),
        ),
    ),
    Drawing(
        name="fastdepth",
        model="fastdepth",
        rows=(
            (
                PICTURE,
                *_stages("encoder", **{f"conv{n}": f"conv{n}" for n in (0, 1, 3, 5, 11, 13)}),
                *(
                    Stage(
                        label=f"decode{n}",
                        source=f"decode_conv{n}",
                        role="decoder",
                        note="then x2",
                    )
                    for n in range(1, 6)
                ),
                Stage(label="decode6", source="decode_conv6", role="map", note="depth"),
            ),
        ),
        skips=(("conv1", "decode5"), ("conv3", "decode4"), ("conv5", "decode3")),
    ),
    Drawing(
        name="lite",
        model="lite",
        rows=(
            (
                PICTURE,
                *_stages("encoder", **{f"stride {2 ** (n + 1)}": f"encoder#{n}" for n in range(5)}),
                Stage(label="context", source="context", role="head", note="attention"),
                *_stages("decoder", top="top", **{f"fuse {n}": f"fuse{n}" for n in (16, 8, 4, 2)}),
                Stage(label="head", source="head", role="map"),
                _out("disparity"),
            ),
        ),
        skips=tuple((f"stride {n}", f"fuse {n}") for n in (2, 4, 8, 16)),
    ),
    Drawing(
        name="midas",
        model="midas-v21-small",
        rows=(
            (
                PICTURE,
                *_stages("encoder", **{f"layer{n + 1}": f"pretrained#{n}" for n in range(4)}),
                *_fusion("scratch"),
                Stage(label="head", source="scratch.output_conv.2", role="head"),
                _out("disparity"),
            ),
        ),
        skips=_skips_to_fusion("layer1", "layer2", "layer3"),
    ),
    Drawing(
        name="dpt",
        model="dpt-large-384",
        rows=(
            (
                PICTURE,
                *_stages("encoder", patches="pretrained.model.patch_embed"),
                *_tokens((5, 11, 17, 23), "pretrained.model", "pretrained.act_postprocess{1}"),
                *_fusion("scratch"),
                Stage(label="head", source="scratch.output_conv.2", role="head"),
                _out("disparity"),
            ),
        ),
        skips=_skips_to_fusion("block 6", "block 12", "block 18"),
    ),
    Drawing(
        name="depth-anything",
        model="depth-anything-v2-vits",
        rows=(
            (
                PICTURE,
                *_stages("encoder", patches="pretrained.patch_embed.proj"),
                *_tokens((2, 5, 8, 11), "pretrained", "depth_head.resize_layers.{0}"),
                *_fusion("depth_head.scratch"),
                Stage(label="head", source="depth_head.scratch.output_conv1", role="head"),
                _out("disparity"),
            ),
        ),
        skips=_skips_to_fusion("block 3", "block 6", "block 9"),
    ),
    Drawing(
        name="video-depth-anything",
        model="video-depth-anything-vits",
        rows=(
            (
                PICTURE,
                *_stages("encoder", patches="pretrained.patch_embed.proj"),
                *_tokens((2, 5), "pretrained", "head.resize_layers.{0}"),
                Stage(
                    label="block 9",
                    source="pretrained.blocks.8",
                    role="encoder",
                    note="→ time 1",
                ),
                Stage(
                    label="block 12",
                    source="pretrained.blocks.11",
                    role="encoder",
                    note="→ @head.resize_layers.3",
                ),
                *_stages("head", time_2="head.motion_modules.1"),
                *_stages("decoder", fuse_4="head.scratch.refinenet4"),
                *_stages("head", time_3="head.motion_modules.2"),
                *_stages("decoder", fuse_3="head.scratch.refinenet3"),
                *_stages("head", time_4="head.motion_modules.3"),
                *_stages(
                    "decoder",
                    fuse_2="head.scratch.refinenet2",
                    fuse_1="head.scratch.refinenet1",
                ),
                _out("disparity"),
            ),
        ),
        skips=_skips_to_fusion("block 3", "block 6", "block 9"),
    ),
    Drawing(
        name="prompt-depth-anything",
        model="prompt-depth-anything-vits",
        rows=(
            (
                PICTURE,
                *_stages("encoder", patches="pretrained.patch_embed.proj"),
                *_tokens((2, 5, 8, 11), "pretrained", "depth_head.resize_layers.{0}"),
                *_fusion("depth_head.scratch"),
                Stage(label="head", source="depth_head.scratch.output_conv1", role="head"),
                _out("share of range"),
            ),
        ),
        skips=_skips_to_fusion("block 3", "block 6", "block 9"),
    ),
    Drawing(
        name="depth-pro",
        model="depth-pro",
        rows=(
            (
                PICTURE,
                *_stages(
                    "encoder",
                    block_6="encoder.upsample_latent0",
                    block_12="encoder.upsample_latent1",
                    windows_5x5="encoder.upsample0",
                    windows_3x3="encoder.upsample1",
                    whole="encoder.fuse_lowres",
                ),
                *_stages(
                    "decoder", **{f"fuse {n + 1}": f"decoder.fusions.{n}" for n in range(4, -1, -1)}
                ),
                Stage(label="head", source="head.1", role="head"),
                _out("inverse depth"),
            ),
        ),
        skips=(
            ("block 6", "fuse 1"),
            ("block 12", "fuse 2"),
            ("windows 5x5", "fuse 3"),
            ("windows 3x3", "fuse 4"),
        ),
    ),
    Drawing(
        name="depth-anything-3",
        model="da3-small",
        rows=(
            (
                PICTURE,
                *_stages("encoder", patches="backbone.pretrained.patch_embed.proj"),
                *_tokens((5, 7, 9, 11), "backbone.pretrained", "head.resize_layers.{0}"),
                *_fusion("head.scratch"),
                Stage(label="head", source="head.scratch.output_conv1", role="head"),
                _out("depth"),
            ),
            (
                Stage(label="levels again", source="head.scratch.layer4_rn", role="decoder"),
                *(
                    Stage(
                        label=f"rays {n}", source=f"head.scratch.refinenet{n}_aux", role="decoder"
                    )
                    for n in (4, 3, 2, 1)
                ),
                Stage(label="narrow", source="head.scratch.output_conv1_aux.3", role="head"),
                Stage(
                    label="rays",
                    source="head.scratch.output_conv2_aux.3",
                    role="map",
                    note="and confidence",
                ),
            ),
            (
                Stage(
                    label="camera token", source="cam_dec.backbone", role="encoder", note="of 12"
                ),
                Stage(label="camera", source="cam_dec", role="map", note="pose and angles"),
            ),
        ),
        skips=_skips_to_fusion("block 6", "block 8", "block 10"),
    ),
    Drawing(
        name="zoedepth",
        model="zoedepth-n",
        rows=(
            (
                PICTURE,
                Stage(label="core", source="core#1", role="encoder", note="BEiT-L, DPT"),
                *_stages("encoder", bottleneck="core#2"),
                Stage(label="seed bins", source="seed_bin_regressor", role="decoder"),
                *(
                    Stage(
                        label=f"attract {n + 1}",
                        source=f"attractors.{n}#0",
                        role="decoder",
                        note=f"{points} points" if points > 1 else "1 point",
                    )
                    for n, points in enumerate((16, 8, 4, 1))
                ),
                Stage(
                    label="log-binomial",
                    source="conditional_log_binomial",
                    role="head",
                    note="over 64 bins",
                ),
                _out("metres"),
            ),
        ),
        skips=(
            *(("core", f"attract {n}") for n in (1, 2, 3, 4)),
            ("core", "log-binomial"),
        ),
    ),
    Drawing(
        name="moge",
        model="moge-2-vits-normal",
        rows=(
            (
                PICTURE,
                *_stages("encoder", patches="encoder.backbone.patch_embed.proj"),
                *_tokens((5, 11), "encoder.backbone", "encoder.output_projections.{0}"),
                Stage(label="features", source="encoder#0", role="encoder", note="sum"),
                *(
                    Stage(label=f"level {level}", source=f"neck#{level}", role="decoder")
                    for level in range(5)
                ),
            ),
            (
                Stage(label="class token", source="encoder#1", role="encoder"),
                Stage(label="scale", source="scale_head", role="head", note="exp"),
                Stage(label="points", source="points_head#4", role="head"),
                Stage(label="normals", source="normal_head#4", role="head"),
                Stage(label="mask", source="mask_head#4", role="head"),
                _out("z"),
            ),
        ),
    ),
    Drawing(
        name="metric3d",
        model="metric3d-v2-vits",
        rows=(
            (
                PICTURE,
                *_stages("encoder", patches="encoder.patch_embed.proj"),
                Stage(label="tokens", source="encoder#0", role="encoder", note="4 registers"),
                *(
                    Stage(
                        label=f"read {3 - n}", source=f"decoder.token2feature#{n}", role="decoder"
                    )
                    for n in range(4)
                ),
                Stage(label="fused", source="decoder.decoder_mono", role="decoder"),
            ),
            (
                Stage(label="bins", source="decoder.depth_regressor", role="head"),
                Stage(label="normals", source="decoder.normal_predictor", role="head"),
                *(
                    Stage(label=f"unit 1/{n}", source=f"decoder.update_block#0.{i}", role="decoder")
                    for i, n in enumerate((4, 7, 14))
                ),
                Stage(
                    label="state", source="decoder.update_block#1", role="head", note="4 updates"
                ),
                _out("metres"),
            ),
        ),
        skips=(("read 2", "fused"), ("read 1", "fused")),
    ),
    Drawing(
        name="unidepth",
        model="unidepth-v2-vits",
        rows=(
            (
                PICTURE,
                *_stages("encoder", patches="pixel_encoder.patch_embed.proj"),
                *(
                    Stage(
                        label=f"block {block + 1}",
                        source=f"pixel_encoder.blocks.{block}",
                        role="encoder",
                    )
                    for block in (2, 5, 8, 11)
                ),
            ),
            (
                Stage(
                    label="camera",
                    source="pixel_decoder.camera_layer",
                    role="head",
                    note="rays",
                ),
                *(
                    Stage(
                        label=f"attend {n + 1}",
                        source=f"pixel_decoder.depth_layer.prompt_camera.{n}",
                        role="encoder",
                    )
                    for n in range(4)
                ),
                *(
                    Stage(
                        label=f"up {n + 1}",
                        source=f"pixel_decoder.depth_layer.ups.{n}",
                        role="decoder",
                    )
                    for n in range(3)
                ),
                Stage(label="distance", source="pixel_decoder.depth_layer#0", role="head"),
                _out("metres"),
            ),
        ),
        skips=(("attend 2", "up 1"), ("attend 3", "up 2"), ("attend 4", "up 3")),
    ),
)
"""Every page's network."""
