"""Options that several commands take, each written once.

:func:`with_load_options` gives a command every option of how a model is opened.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from leadline.load_options import LoadOptions, Policy

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Cmap = Annotated[str, typer.Option(help="inferno, magma, viridis, turbo, spectral or grey.")]
Formats = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        help="Any of npz, npy, png16, color, side, pfm, ply, exr, exr-half, exr-blender, "
        "controlnet, near16, gdepth, normal, normal16, normal-directx, normal16-directx; default: "
        "npz,color.",
        show_default=False,
    ),
]
Legend = Annotated[
    bool, typer.Option("--legend", help="A colour bar, in metres where known, in color and side.")
]
ControlSide = Annotated[
    int | None,
    typer.Option(
        help="Short side of controlnet in pixels, both sides multiples of 64; default: the "
        "picture's size.",
        show_default=False,
    ),
]
DEFAULT_FORMATS = ("npz", "color")
"""Formats of a command that was not told any."""
OutFolder = Annotated[
    Path, typer.Option("--out", "-o", help="Folder for the results.", show_default=False)
]
Every = Annotated[int, typer.Option(help="Only every n-th frame of a sequence or film.")]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave frames out that cannot be used; count them.")
]
Camera = Annotated[
    str | None,
    typer.Option(
        help="fx,fy,cx,cy in pixels, or a file of OpenCV, ROS, KITTI, COLMAP, NeRF or Open3D; in "
        "place of the pictures' EXIF."
    ),
]
Fov = Annotated[float | None, typer.Option(help="Horizontal field of view in degrees; likewise.")]
Tone = Annotated[
    str,
    typer.Option(help="Grey levels of 16-bit pictures: linear, or percentile to stretch them."),
]
MaxMegapixels = Annotated[
    float | None,
    typer.Option(help="Millions of pixels to decode at most; default: 178.", show_default=False),
]
Holes = Annotated[
    str | None,
    typer.Option(
        "--hole",
        metavar="CODE,...",
        help="Codes of the depth files that mean that nothing is known: 65535, -1; or none.",
    ),
]
Cluster = Annotated[str | None, typer.Option(help="Work on a Ray cluster: its address, or local.")]
Workers = Annotated[
    int | None,
    typer.Option(help="Actors of the cluster (2), or processes here (none: this one)."),
]
Gpus = Annotated[float, typer.Option(help="GPUs of an actor of the cluster.")]
FixedSize = Annotated[
    str | None,
    typer.Option(
        metavar="HEIGHTxWIDTH", help="One input size alone; pictures are stretched to it."
    ),
]

_LOAD = {
    "weights": (
        str | None,
        None,
        typer.Option(help="File to take in place of the model's published weights."),
    ),
    "device": (str, "auto", typer.Option(help="auto, cpu, cuda (or gpu) or mps.")),
    "runtime": (
        str,
        "auto",
        typer.Option(help="auto, openvino, onnxruntime, torch or transformers."),
    ),
    "precision": (str, "auto", typer.Option(help="auto, f32, bf16 or f16.")),
    "size": (
        int | None,
        None,
        typer.Option(help="Short side of the network's usual input; larger is sharper."),
    ),
    "max_depth": (
        float | None,
        None,
        typer.Option(help="Metres, for metric checkpoints that do not say it."),
    ),
    "flip": (
        bool,
        False,
        typer.Option("--flip", help="Average with the mirrored picture; twice the time."),
    ),
    "policy": (
        str | None,
        None,
        typer.Option(
            help="single, flip, pad (a mirrored margin, for maps that are worst at the border) or "
            "pad-flip (both; ZoeDepth's own inference)."
        ),
    ),
    "tiles": (
        int,
        1,
        typer.Option(help="Tiles along the short side, for sharper maps of large pictures."),
    ),
    "threads": (int | None, None, typer.Option(help="Threads of the network.")),
    "kind": (
        str | None,
        None,
        typer.Option(
            help="What the values of a file mean that does not say it itself: metric_depth, "
            "affine_disparity, ..."
        ),
    ),
    "normalize": (
        str | None,
        None,
        typer.Option(
            help="What an exported network without a description takes: imagenet, half (-1..1), "
            "unit (0..1) or none (grey levels; it normalises itself)."
        ),
    ),
}
"""Option of every command that runs a model -> type, default, what typer shows."""

_NAME = "Name (see `leadline models`), file, folder or hub id (hf:owner/name)."


def with_load_options(
    *,
    default: Any = "lite",
    required: bool = False,
    help: str = _NAME,  # noqa: A002 (typer's word for it)
    argument: bool = False,
    many: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command every option of :class:`leadline.LoadOptions`.

    Args:
        default: the model without ``--model``; with ``many`` also a tuple of several.
        required: whether the model must be given.
        help: what ``--model`` says.
        argument: take the model as the argument MODEL in place of an option.
        many: let ``--model`` be given several times.

    Returns:
        A decorator for a command whose parameter ``load`` receives the LoadOptions, with ``many`` a
        list of them.
    """
    kind: Any = str if required else str | None
    if many:
        kind, default = list[str], list(default) if isinstance(default, tuple) else [default]
    shown = typer.Argument(help=help) if argument else typer.Option("--model", "-m", help=help)
    table = {"model": (kind, inspect.Parameter.empty if required else default, shown)} | _LOAD

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, localns={"LoadOptions": object}, include_extras=True)
        parameters: list[inspect.Parameter] = []
        for name, parameter in inspect.signature(command).parameters.items():
            if name != "load":
                parameters.append(parameter.replace(annotation=hints[name]))
                continue
            for option, (type_, value, info) in table.items():
                parameters.append(
                    inspect.Parameter(
                        option,
                        inspect.Parameter.KEYWORD_ONLY,
                        default=value,
                        annotation=Annotated[type_, info],
                    )
                )

        @functools.wraps(command)
        def run(**given: Any) -> None:
            chosen = {name: given.pop(name) for name in table}
            if many:
                names = chosen.pop("model")
                load = [_make_load_options(model=name, **chosen) for name in names]
            else:
                load = _make_load_options(**chosen)
            command(**given, load=load)

        by_name = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        run.__signature__ = inspect.Signature(by_name)  # ty: ignore[missing-attribute]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        del run.__wrapped__  # typer reads ours
        return run

    return decorate


def _make_load_options(*, flip: bool, policy: str | None, **chosen: Any) -> LoadOptions:
    from leadline.load_options import LoadOptions

    return LoadOptions(policy=_join_policy(policy, flip), **chosen)


def _join_policy(policy: str | None, flip: bool) -> Policy:
    """The policy that --policy and --flip name together."""
    from leadline.estimator import POLICIES

    if policy is None:
        return "flip" if flip else "single"
    known = {str(name): name for name in POLICIES}
    if policy not in known:
        raise UnknownNameError("policy", policy, POLICIES)
    if flip and "flip" not in policy:
        raise InputError(
            f"--flip and --policy {policy} contradict one another; give one of them"
            f"{', or --policy pad-flip' if policy == 'pad' else ''}."
        )
    return known[policy]


def refuse_looks(load: LoadOptions, command: str) -> None:
    """Raise InputError where options say how pictures are looked at, which no file can keep."""
    if load.policy != "single" or load.tiles > 1:
        raise InputError(
            f"{command} with --policy {load.policy} and --tiles {load.tiles}: these belong to "
            "predicting, not to the network; leave them out here and give them to `leadline "
            "predict`."
        )


def parse_size(text: str | None) -> tuple[int, int] | None:
    """``HEIGHTxWIDTH`` as numbers.

    Raises:
        InputError: another text.
    """
    if text is None:
        return None
    height, x, width = text.lower().partition("x")
    if not (x and height.isdigit() and width.isdigit()):
        raise InputError(f"--fixed-size {text}: HEIGHTxWIDTH is needed, 480x640 say.")
    return int(height), int(width)


def parse_formats(text: str | None) -> list[str]:
    """The formats of ``--format``, or :data:`DEFAULT_FORMATS` when it was not given.

    Raises:
        InputError: it names none.
    """
    if text is None:
        return list(DEFAULT_FORMATS)
    from leadline.io import FORMATS

    names = split_words(text)
    if not names:
        raise InputError(f"--format names nothing; give one or more of {', '.join(FORMATS)}.")
    return names


def parse_holes(text: str | None) -> tuple[float, ...] | None:
    """The codes of ``--hole``; empty for ``none``, None when nothing was said.

    Raises:
        InputError: no numbers.
    """
    if text is None:
        return None
    try:
        return () if text.strip() == "none" else tuple(float(word) for word in split_words(text))
    except ValueError as error:
        raise InputError(
            f"--hole {text}: numbers with commas between are needed, or none."
        ) from error


def split_pair(text: str, form: str = "--set KEY=VALUE") -> tuple[str, str]:
    """Key and value of an option that takes both, of ``form``.

    Raises:
        InputError: no equals sign.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"{form.split()[0]} {text}: {form.split()[1]} is needed.")
    return key, value


def find_run(name: str, out: Path | None, *, resume: bool, below: tuple[str, ...] = ()) -> Path:
    """The directory of a run: ``out``, or ``runs/<name>-<time>``, which no other run has.

    Args:
        name: of what is trained.
        out: as it was given.
        resume: whether a run there is to go on.
        below: folders that the run writes into.

    Raises:
        InputError: to be resumed without being named, or results cannot go there.
    """
    from leadline.cli.naming import check_folder, check_inside

    if out is None:
        if resume:
            raise InputError("--resume goes on with the run of --out RUN; say which.")
        out = Path("runs") / f"{name}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"
    check_folder(out)
    check_inside(out, *below)
    return out


def split_words(text: str) -> list[str]:
    """The words of a list with commas between."""
    return [word.strip() for word in text.split(",") if word.strip()]
