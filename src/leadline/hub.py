"""Weights files: where they are on this machine, and how they get here.

Embedded files lie inside the package. All others come from a Hugging Face hub through
``huggingface_hub``, which resumes broken downloads, keeps one cache for every program, and obeys
``HF_ENDPOINT``, ``HF_HOME``, ``HF_HUB_OFFLINE`` and ``HF_TOKEN``. It is imported only when asked.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from pathlib import Path
from types import ModuleType

from leadline.errors import MissingDependencyError, MissingWeightsError, WeightsError
from leadline.spec import WeightsFile

EMBEDDED_FOLDER = Path(__file__).parent / "weights"
"""Folder of the weights that ship inside the package."""

INDEX_SUFFIX = ".index.json"
"""Of the file that names the parts of a checkpoint."""

_ONNX_LOCATION = rb"(?s)\x0a\x08location\x12([\x01-\x7f])"
"""Begin of a StringStringEntryProto of ONNX's external_data; what follows is the file's name."""


def locate(weights: WeightsFile) -> Path | None:
    """Path of ``weights`` when they are on this machine, else None; never uses the network."""
    if weights.repo is None:
        path = EMBEDDED_FOLDER / weights.file
        return path if path.is_file() else None
    hub = _huggingface_hub()
    found = hub.try_to_load_from_cache(weights.repo, weights.file)
    return Path(found) if isinstance(found, str) else None


def fetch(weights: WeightsFile, *, needed_by: str = "this model") -> Path:
    """Path of ``weights`` on this machine, downloaded when they are not here yet.

    Args:
        weights: the file.
        needed_by: name of the model, for the message when it cannot be had.

    Raises:
        MissingWeightsError: not here, and the hub cannot be reached or does not have it.
        WeightsError: what came does not have the digest that the catalogue states.
    """
    path = locate(weights)
    if path is not None:
        return path
    if weights.repo is None:
        raise MissingWeightsError(
            f"{needed_by} needs the embedded file {weights.file}, which this copy of Leadline "
            f"lacks ({EMBEDDED_FOLDER} is where it belongs). Install Leadline again."
        )
    path = _download(weights.repo, weights, needed_by)
    _check_digest(path, weights)
    return path


def fetch_file(repo: str, file: str, *, revision: str | None = None) -> Path | None:
    """Path of any ``file`` of the hub's ``repo``, or None when the repository does not have it.

    Args:
        repo: hub id ``owner/name``.
        file: path inside the repository.
        revision: commit, tag or branch; None: the main branch as it was first downloaded.

    Raises:
        MissingWeightsError: the hub cannot be reached and the file is not in the cache.
    """
    hub = _huggingface_hub()
    cached = hub.try_to_load_from_cache(repo, file, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    try:
        return _download(repo, WeightsFile(repo=repo, file=file), repo, revision)
    except MissingWeightsError as error:
        cause = error.__cause__
        absent = isinstance(cause, hub.errors.EntryNotFoundError)
        if absent and not isinstance(cause, hub.errors.LocalEntryNotFoundError):
            return None
        raise


def address(weights: WeightsFile) -> str:
    """Where people can fetch ``weights`` from: a URL, or ``"inside the package"``."""
    if weights.repo is None:
        return "inside the package"
    return _huggingface_hub().hf_hub_url(weights.repo, weights.file)


def sha256_of(path: str | Path) -> str:
    """Hexadecimal SHA-256 digest of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_model(path: str | Path) -> str:
    """SHA-256 digest of a model's file; with those of its weights where they lie beside it."""
    beside = [file for file in weights_beside(path) if file.is_file()]
    digests = [sha256_of(file) for file in (Path(path), *beside)]
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def weights_beside(path: str | Path) -> list[Path]:
    """Files that hold the weights of a network whose own file is a graph or an index alone.

    OpenVINO's ``.xml`` has a ``.bin``; an ``.onnx`` names its files, and may name none; the index
    of a checkpoint in parts names these.
    """
    path = Path(path)
    if path.name.endswith(INDEX_SUFFIX):
        return read_index(path)
    if path.suffix.lower() == ".xml":
        return [path.with_suffix(".bin")]
    if path.suffix.lower() != ".onnx" or path.stat().st_size == 0:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        places = re.finditer(_ONNX_LOCATION, data)
        names = {data[p.end() : p.end() + p[1][0]].decode(errors="replace") for p in places}
    return [path.parent / name for name in sorted(names)]


def read_index(path: Path) -> list[Path]:
    """The parts of a checkpoint that its index names; they lie beside it.

    Raises:
        WeightsError: not such an index.
    """
    try:
        parts = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{path} is no index of a checkpoint in parts ({error}); copy it again."
        ) from error
    if not parts or not all(isinstance(p, str) and p and Path(p).name == p for p in parts):
        raise WeightsError(f"{path} names parts that are no files beside it; copy it again.")
    return [path.with_name(part) for part in sorted(parts)]


def repo_of(path: str | Path) -> str | None:
    """Hub id ``owner/name`` of a file that lies in the hub's cache, else None."""
    for folder in Path(path).absolute().parents:
        if folder.name.startswith("models--") and folder.name.count("--") >= 2:
            return "/".join(folder.name.removeprefix("models--").split("--", 1))
    return None


def _download(repo: str, weights: WeightsFile, needed_by: str, revision: str | None = None) -> Path:
    hub = _huggingface_hub()
    try:
        # Ask once before downloading: without a network the download alone would try for 23 s.
        hub.get_hf_file_metadata(hub.hf_hub_url(repo, weights.file, revision=revision))
        return Path(hub.hf_hub_download(repo, weights.file, revision=revision))
    except Exception as error:  # the transport's own errors differ between versions of the hub
        raise _undelivered(weights, needed_by, error) from error


def _undelivered(weights: WeightsFile, needed_by: str, error: Exception) -> MissingWeightsError:
    size = "size unknown" if weights.size_mb is None else f"{weights.size_mb:.0f} MB"
    answer = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return MissingWeightsError(
        f"{needed_by} needs the file {Path(weights.file).name} ({size}, licence "
        f"{weights.licence}), which is not on this machine, and the hub did not deliver it. Get it "
        f"from {address(weights)} on a machine with a network, copy it here and give its path with "
        "--weights FILE (in Python: leadline.load(name, weights=FILE)). Behind a mirror, set "
        f"HF_ENDPOINT. The hub's answer: {answer[:160]}"
    )


def _check_digest(path: Path, weights: WeightsFile) -> None:
    if weights.sha256 is None:
        return
    digest = sha256_of(path)
    if digest != weights.sha256:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise WeightsError(
            f"{weights.file} from {weights.repo} has the SHA-256 {digest}, but {weights.sha256} is "
            "needed. It was removed; try again, or tell whoever runs the mirror."
        )


def _huggingface_hub() -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise MissingDependencyError("huggingface_hub", "downloading weights", "all") from error
    return huggingface_hub
