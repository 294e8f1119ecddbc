"""What each recipe lets be chosen: the table ``[options]`` of a config."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from leadline.camera import Camera
from leadline.errors import InputError, UnknownNameError
from leadline.losses import SILOG_FORMS, LeftRightConfig, PhotometricConfig
from leadline.training.settings import need

Sources = Literal["mono", "stereo", "both"]
"""What a frame is made from: its neighbours in time, its other view, or all of them."""

SupervisedLoss = Literal[
    "l1", "berhu", "eigen", "silog-bts", "silog-zoedepth", "silog-depth-anything-v2", "densedepth"
]


@dataclass(frozen=True, kw_only=True)
class Rig:
    """What the cameras are, and how they move.

    Attributes:
        kind: of the scenes, one of :data:`leadline.world.KINDS`.
        fov_deg: horizontal field of view of every picture, so that one focal length holds.
        baseline_m: metres between the cameras.
        step_m: least and largest distance between two moments, metres.
        turn_deg: deviation of the turns between two moments.
        sideways: deviation of the direction of motion from straight ahead, radians.
        still: share of the moments at which the rig stands; these pictures teach nothing, and the
            auto-mask has to find that out.
        exposure: ``locked``: the same for all pictures of a moment; ``own``: each picture's.
        grain: largest deviation of the sensor's noise, as a share of white.
    """

    kind: str = "street"
    fov_deg: float = 80.0
    baseline_m: float = 0.54
    step_m: tuple[float, float] = (0.4, 1.2)
    turn_deg: float = 0.7
    sideways: float = 0.1
    still: float = 0.0
    exposure: str = "locked"
    grain: float = 0.008

    def __post_init__(self) -> None:
        if not 0 < self.fov_deg < 150 or not self.baseline_m > 0:
            raise InputError(
                f"fov_deg={self.fov_deg}, baseline_m={self.baseline_m}: a field of view of 0 to "
                "150 degrees and a positive baseline are needed."
            )
        if not 0 < self.step_m[0] <= self.step_m[1] or not 0 <= self.still <= 1:
            raise InputError(
                f"step_m={self.step_m}, still={self.still}: a least and a largest step in metres "
                "and a share of 0 to 1 are needed."
            )
        if self.exposure not in ("locked", "own"):
            raise InputError(f"exposure={self.exposure!r}: 'locked' or 'own' is needed.")

    def camera(self, size: tuple[int, int]) -> Camera:
        """The intrinsics of a picture of ``size`` (height, width)."""
        return Camera.from_fov(size[1], size[0], fov_deg=self.fov_deg)

    @property
    def focal_share(self) -> float:
        """Focal length as a share of the picture's width."""
        return 0.5 / math.tan(math.radians(self.fov_deg) / 2)


@dataclass(frozen=True, kw_only=True)
class LidarNoise:
    """How a perfect depth map becomes a scan; the defaults change nothing.

    Attributes:
        every_row: only every n-th row is measured.
        share: share of the points of a measured row that come back.
        blind_top: share of the picture's height, from the top, without any point.
        see_through: share of the points on a near thing's edge that show what lies behind it.
        reach_px: how far from the edge, in pixels.
        shift_px: right and down, by which all points are off.
        noise: deviation of a depth, as a share of it.
    """

    every_row: int = 1
    share: float = 1.0
    blind_top: float = 0.0
    see_through: float = 0.0
    reach_px: int = 2
    shift_px: tuple[int, int] = (0, 0)
    noise: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.share, self.blind_top, self.see_through)
        if self.every_row < 1 or self.reach_px < 1 or not all(0 <= each <= 1 for each in shares):
            raise InputError(
                f"every_row={self.every_row}, reach_px={self.reach_px}, share, blind_top and "
                f"see_through={shares}: the first two are at least 1, the others shares of 0 to 1."
            )
        if self.noise < 0:
            raise InputError(f"noise={self.noise}: a deviation is not negative.")


@dataclass(frozen=True, kw_only=True)
class RelativeOptions:
    """Choices of the relative recipe.

    Attributes:
        loss: ``mae``: mean absolute difference of the normalised maps (Depth Anything);
            ``trimmed``: without each picture's largest residuals (MiDaS); ``mse``: after a least
            squares fit of scale and shift (MiDaS, equation 4), whose scale may be negative: only
            the first steps (``settle``) tell near from far.
        trim: share of residuals that ``trimmed`` leaves out.
        gradient_weight, gradient_scales: of the multi-scale gradient term.
        settle: first steps, in which the raw prediction is compared with the normalised truth,
            because a scale-free loss of a random map says little.
    """

    loss: Literal["mae", "trimmed", "mse"] = "mae"
    trim: float = 0.2
    gradient_weight: float = 0.5
    gradient_scales: int = 4
    settle: int = 100

    def __post_init__(self) -> None:
        need(self, "a share of at least 0, below 1,", lambda number: 0 <= number < 1, "trim")
        need(self, "at least 0", lambda number: number >= 0, "gradient_weight", "settle")
        need(self, "at least 1", lambda number: number >= 1, "gradient_scales")


@dataclass(frozen=True, kw_only=True)
class SupervisedOptions:
    """Choices of the supervised recipe.

    Attributes:
        loss: see :mod:`leadline.training.recipes.supervised`.
        max_depth, min_depth: metres; depths outside count for nothing.
        aspect: width by height of what is cut from a picture and stretched to the input; 0: that
            of the input. FastDepth's square input shows pictures of 4:3.
        zoom_is_near: a window that is enlarged shows nearer depths (Eigen, FastDepth); otherwise
            depths stay as they are.
        coarse_share: share of the steps in which a network with a coarse and a fine stack trains
            the coarse one; the rest trains the fine one alone.
        start_share: a network that ends in a batch norm of one channel (FastDepth) begins by saying
            about this share of ``max_depth``; 0: what its authors begin with, near 0 m, from where
            Adam takes thousands of steps to metres.
        canonical_focal_px: focal length, in pixels of the network's input, of the camera that
            depths are brought to; 0: metres as they are.
        repeat_coarse: the fine stack begins by giving the coarse map as it is, which short runs
            need; off, with random weights, as its authors'.
        own_rates: a rate for each layer as the network's authors say, scaled by ``lr``, where they
            do (Eigen's, for SGD).
    """

    loss: SupervisedLoss = "l1"
    max_depth: float = 10.0
    min_depth: float = 0.1
    aspect: float = 0.0
    zoom_is_near: bool = True
    coarse_share: float = 0.6
    start_share: float = 0.25
    canonical_focal_px: float = 0.0
    own_rates: bool = True
    repeat_coarse: bool = False

    def __post_init__(self) -> None:
        own = ("min_depth", "aspect", "start_share", "canonical_focal_px")
        need(self, "at least 0", lambda number: number >= 0, *own)
        need(self, f"more than min_depth={self.min_depth}", self.min_depth.__lt__, "max_depth")
        need(self, "a share from 0 to 1", lambda number: 0 <= number <= 1, "coarse_share")


@dataclass(frozen=True, kw_only=True)
class MetricOptions:
    """Choices of the recipe.

    Attributes:
        relative: weights of the relative network to start from: a name, a file, a run folder;
            empty: none (``start`` in the config fills the whole network instead).
        domains: name of the domain of each source of the config's ``data``; empty: rooms and
            objects of the world belong to the network's first domain, streets and nature to the
            last.
        form: of SILog, a name of :data:`leadline.losses.SILOG_FORMS`.
        router_weight: of the router's cross entropy, in networks with several domains.
        encoder_divisor, relative_divisor, position_divisor: of ``lr``, for the relative network's
            encoder, the rest of it, and position embeddings; ZoeDepth takes 10, 1, 10 in one
            domain and 10, 10, 10 in two; Depth Anything's fork 50 for all, its V2 metric 10.
        min_depth, max_depth: metres between which a depth counts.
        canonical_focal_px: focal length, in pixels of the network's input, of the camera that
            depths are brought to; 0: metres as they are.
        aspect: width by height of what is cut from a picture and stretched to the input; 0: that
            of the input. Networks to whose one size pictures are stretched need the pictures' own.
    """

    relative: str = ""
    domains: tuple[str, ...] = ()
    form: str = "zoedepth"
    router_weight: float = 100.0
    encoder_divisor: float = 10.0
    relative_divisor: float = 1.0
    position_divisor: float = 10.0
    min_depth: float = 1e-3
    max_depth: float = 80.0
    canonical_focal_px: float = 0.0
    aspect: float = 0.0

    def __post_init__(self) -> None:
        if self.form not in SILOG_FORMS:
            raise UnknownNameError("form of SILog", self.form, SILOG_FORMS)
        own = ("router_weight", "min_depth", "canonical_focal_px", "aspect")
        need(self, "at least 0", lambda number: number >= 0, *own)
        need(self, f"more than min_depth={self.min_depth}", self.min_depth.__lt__, "max_depth")
        divisors = ("encoder_divisor", "relative_divisor", "position_divisor")
        need(self, "a number above 0", lambda number: number > 0, *divisors)


@dataclass(frozen=True, kw_only=True)
class DepthAnythingOptions:
    """Choices of the recipe; the defaults are those of version 1.

    Attributes:
        labels: folder that ``leadline label`` wrote; empty: ``teacher`` labels ``unlabelled`` at
            the start of the run.
        pictures: where the labels' pictures are now, if they were moved.
        teacher: a model's name, file or run folder.
        unlabelled: folder of pictures; empty: ``unlabelled_count`` pictures of the world.
        unlabelled_count: how many are rendered; no more than the world keeps labelled ones.
        pseudo_share: share of pseudo-labelled samples in a batch: 2/3 in version 1, 1 in version
            2, 0 for labelled data alone.
        colours: strong colours on pseudo-labelled pictures.
        cutmix: share of pseudo-labelled pictures that get a box of another.
        feature_weight: of the alignment with the frozen encoder; 0: none.
        feature_margin: cosine above which a place is near enough.
        feature_over: what the distance is a mean over: the places that are ``kept``, or ``all``.
        gradient_weight: of the multi-scale gradient, against the difference: 0 in version 1, 2 in
            version 2.
        drop: share of each pseudo-labelled picture's pixels that is left out, those of the
            largest loss: 0 in version 1, 0.1 in version 2.
        sky: ``far``: the sky has disparity 0 and counts; ``ignore``: it does not count.
        encoder_start: file of the encoder's own weights (DINOv2's), which the student starts from.
        settle: first steps, in which the raw prediction is compared with the normalised truth,
            because a scale-free loss of a random map says little.
    """

    labels: str = ""
    pictures: str = ""
    teacher: str = "lite"
    unlabelled: str = ""
    unlabelled_count: int = 192
    pseudo_share: float = 2 / 3
    colours: bool = True
    cutmix: float = 0.5
    feature_weight: float = 1.0
    feature_margin: float = 0.85
    feature_over: Literal["kept", "all"] = "kept"
    gradient_weight: float = 0.0
    drop: float = 0.0
    sky: Literal["far", "ignore"] = "far"
    encoder_start: str = ""
    settle: int = 100

    def __post_init__(self) -> None:
        shares = ("pseudo_share", "cutmix", "feature_margin", "drop")
        need(self, "a share from 0 to 1", lambda number: 0 <= number <= 1, *shares)
        own = ("feature_weight", "gradient_weight", "settle")
        need(self, "at least 0", lambda number: number >= 0, *own)
        need(self, "at least 1", lambda number: number >= 1, "unlabelled_count")


@dataclass(frozen=True, kw_only=True)
class SelfSupervisedOptions:
    """Choices of the recipes that learn from the pictures of a rig.

    Attributes:
        photometric_weight: of the whole self-supervised loss.
        depth_weight: of the error of log depth where depth is known; 0: never looked at.
        rig: cameras, motion and scenes of the world.
        lidar_noise: errors put into the known depth, for experiments.
        max_depth: metres up to which known depth counts, in learning and in validation.
    """

    photometric_weight: float = 1.0
    depth_weight: float = 0.0
    rig: Rig = field(default_factory=Rig)
    lidar_noise: LidarNoise = field(default_factory=LidarNoise)
    max_depth: float = 80.0

    def __post_init__(self) -> None:
        need(self, "at least 0", lambda number: number >= 0, "photometric_weight", "depth_weight")
        need(self, "a number above 0", lambda number: number > 0, "max_depth")
        if not self.photometric_weight and not self.depth_weight:
            raise InputError(
                "photometric_weight=0, depth_weight=0: one of them above 0 is needed to learn from."
            )


@dataclass(frozen=True, kw_only=True)
class StereoOptions(SelfSupervisedOptions):
    """Choices of the stereo recipe.

    Attributes:
        loss: the paper's weights and forms; see :class:`~leadline.losses.LeftRightConfig`.
            ``smoothness_axes = "x"`` repeats the released code.
    """

    loss: LeftRightConfig = field(default_factory=LeftRightConfig)


@dataclass(frozen=True, kw_only=True)
class VideoOptions(SelfSupervisedOptions):
    """Choices of the video recipe.

    Attributes:
        sources: see :data:`Sources`.
        loss: the paper's weights and forms; see :class:`~leadline.losses.PhotometricConfig`.
            ``align_corners = false`` repeats the authors' code under newer PyTorch. Its depth
            range is the network's.
    """

    sources: Sources = "mono"
    loss: PhotometricConfig = field(default_factory=PhotometricConfig)


OPTIONS: Mapping[str, type] = MappingProxyType(
    {
        "depth-anything": DepthAnythingOptions,
        "metric": MetricOptions,
        "relative": RelativeOptions,
        "stereo": StereoOptions,
        "supervised": SupervisedOptions,
        "video": VideoOptions,
    }
)
"""Recipe -> the class of its options."""


def options_class(recipe: str) -> type:
    """The class of a recipe's options.

    Raises:
        UnknownNameError: no such recipe; the message lists all.
    """
    if recipe not in OPTIONS:
        raise UnknownNameError("recipe", recipe, OPTIONS)
    return OPTIONS[recipe]
