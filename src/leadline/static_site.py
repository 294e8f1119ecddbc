"""The page as files: any static host serves it, and networks run in the visitor's browser."""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadline.errors import InputError
from leadline.hub import weights_beside
from leadline.jobs import write_text
from leadline.kinds import DepthKind
from leadline.load_options import LoadOptions

if TYPE_CHECKING:
    from leadline.resolve import Origin
    from leadline.spec import ModelSpec

WEB = Path(__file__).parent / "web"
"""The page's sources."""

_LIST = "site.json"
_PACKED = ".xz"
_RESIZE = ("exact", "area", "lower_bound", "upper_bound", "minimal", "short_side")
_INTERPOLATION = ("linear", "cubic", "area", "area_linear")
_SHAPES = (DepthKind.METRIC_DEPTH, DepthKind.SCALED_DEPTH)
"""Kinds of the models that the page opens with, where there is one."""
_DECODERS = ("depth", "canonical_depth")
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "script-src 'self' blob: 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "connect-src 'self' blob: data:; style-src 'self' 'unsafe-inline'"
)


def write_site(folder: Path, models: Sequence[LoadOptions]) -> list[str]:
    """Write the page with models that run in browsers.

    Args:
        folder: new or empty, or one that this function filled before.
        models: their visitors choose; the page opens with the first that gives shapes, and keeps
            it for use without a network.

    Returns:
        The files, relative to ``folder``.

    Raises:
        InputError: the folder holds something else, or a model cannot run in a browser.
    """
    origins = [options.identify("graph") for options in models]
    described = [_describe(origin) for origin in origins]
    _clear(folder)
    files = _copy_page(folder)
    for origin, entry in zip(origins, described, strict=True):
        files += _copy_model(origin, entry, folder)
    write_text(folder / "models" / "models.json", json.dumps({"models": described}, indent=1))
    shown = next((entry for entry in described if entry["kind"] in _SHAPES), described[0])
    first = {f"models/{name}" for name in (shown["graph"], *shown["external"])}
    kept = [name for name in files if not name.startswith("models/") or name in first]
    kept += ["./", "models/models.json"]
    version = _digest(folder, files)
    write_text(folder / _LIST, json.dumps({"version": version, "files": kept}, indent=1))
    return [*files, "models/models.json", _LIST]


def _clear(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder for the page.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _LIST).is_file():
        raise InputError(
            f"{folder} holds files that are no page of Leadline; give a new or an empty folder."
        )
    for name in ("web", "models"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)


def _copy_page(folder: Path) -> list[str]:
    """The page itself: index.html and sw.js at the top, the others below web/."""
    files = []
    for source in sorted(path for path in WEB.rglob("*") if path.is_file()):
        name = source.relative_to(WEB).as_posix()
        if name == "index.html":
            write_text(folder / name, _for_browsers(source.read_text(encoding="utf-8")))
        elif name == "sw.js":
            shutil.copyfile(source, folder / name)
            continue  # a service worker does not keep itself
        else:
            name = f"web/{name}"
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.suffix == _PACKED:
                name = name.removesuffix(_PACKED)
                (folder / name).write_bytes(lzma.decompress(source.read_bytes()))
            else:
                shutil.copyfile(source, target)
        files.append(name)
    return files


def _for_browsers(page: str) -> str:
    """The page with the back end of browsers, and a policy that forbids foreign hosts."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n<title>'
    return page.replace('data-backend="server"', 'data-backend="browser"', 1).replace(
        "<title>", policy, 1
    )


def _describe(origin: Origin) -> dict[str, Any]:
    """What the page needs to know to run a network as Python does."""
    spec = origin.spec
    _check(origin, spec)
    preprocess = spec.preprocess
    return {
        "name": spec.name,
        "kind": str(spec.kind),
        "summary": spec.summary,
        "licence": spec.weights[0].licence if spec.weights else "unknown",
        "canonical_focal_px": spec.canonical_focal_px,
        "preprocess": asdict(preprocess),
        "graph": origin.path.name,
        "external": [path.name for path in weights_beside(origin.path)],
        "input": _name_in_file(origin.inputs, "image"),
        "output": _name_in_file(origin.outputs, "depth"),
    }


def _check(origin: Origin, spec: ModelSpec) -> None:
    """Raise InputError for a network that only Python can run."""
    rules = spec.preprocess
    reasons = {
        f"its file {origin.path.name} is no ONNX graph": origin.path.suffix.lower() != ".onnx",
        "it asks for more than a picture": tuple(spec.inputs) != ("image",),
        f"its outputs need the decoder {spec.decoder}": spec.decoder not in _DECODERS,
        f"it sizes pictures by {rules.resize}": rules.resize not in _RESIZE,
        f"it resizes them by {rules.interpolation}": rules.interpolation not in _INTERPOLATION,
        "it sees the middle of a picture only": rules.crop != (1.0, 1.0),
    }
    why = [reason for reason, holds in reasons.items() if holds]
    if why:
        raise InputError(
            f"{spec.name} cannot run in a browser: {'; '.join(why)}. Give a model of one picture "
            "and one map as an ONNX file (lite, lite-metric, or what `leadline export` writes)."
        )


def _name_in_file(names: Iterable[tuple[str, str]] | Any, wanted: str) -> str:
    """The tensor of the file that is ours of this name."""
    return next((theirs for theirs, ours in dict(names).items() if ours == wanted), wanted)


def _copy_model(origin: Origin, entry: dict[str, Any], folder: Path) -> list[str]:
    names = [entry["graph"], *entry["external"]]
    for name in names:
        shutil.copyfile(origin.path.parent / name, folder / "models" / name)
    return [f"models/{name}" for name in names]


def _digest(folder: Path, files: Sequence[str]) -> str:
    """A version of the files, for the cache of browsers."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode())
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]
