"""Weights files: where they are on this machine, and how they get here.

Embedded files lie inside the package. All others come from a Hugging Face hub through
``huggingface_hub``, which resumes broken downloads, keeps one cache for every program, and obeys
``HF_ENDPOINT``, ``HF_HOME``, ``HF_HUB_OFFLINE`` and ``HF_TOKEN``. It is imported only when asked.

Trust: a downloaded file needs the SHA-256 that the catalogue states, and the one that the hub
states where its etag is one. Beside the cache, ``leadline-digests.json`` records the digest of
every file and revision at its first download; later another content of the same is refused.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import re
import shutil
import sys
import warnings
from pathlib import Path
from types import ModuleType

from leadline.errors import InputError, MissingDependencyError, MissingWeightsError, WeightsError
from leadline.jobs import write_text
from leadline.licences import describe_use, spell_licence
from leadline.spec import WeightsFile

EMBEDDED_FOLDER = Path(__file__).parent / "weights"
"""Folder of the weights that ship inside the package."""

INDEX_SUFFIX = ".index.json"
"""Of the file that names the parts of a checkpoint."""

_ONNX_LOCATION = rb"(?s)\x0a\x08location\x12([\x01-\x7f])"
"""Begin of a StringStringEntryProto of ONNX's external_data; what follows is the file's name."""

_SMALL = 1_000_000  # bytes below which a download is over before anyone reads about it


def locate(weights: WeightsFile) -> Path | None:
    """Path of ``weights`` when they are on this machine, else None; never uses the network."""
    if weights.repo is None:
        path = EMBEDDED_FOLDER / weights.file
        return path if path.is_file() else None
    hub = _huggingface_hub()
    found = hub.try_to_load_from_cache(weights.repo, weights.file, revision=weights.revision)
    return Path(found) if isinstance(found, str) else None


def fetch(weights: WeightsFile, *, needed_by: str = "this model") -> Path:
    """Path of ``weights`` on this machine, downloaded when they are not here yet.

    Args:
        weights: the file.
        needed_by: name of the model, for the message when it cannot be had.

    Raises:
        MissingWeightsError: not here, and the hub cannot be reached or does not have it.
        WeightsError: what came does not have the digest that is stated or recorded.
    """
    path = locate(weights)
    if path is not None:
        return path
    if weights.repo is None:
        raise MissingWeightsError(
            f"{needed_by} needs the embedded file {weights.file}, which this copy of Leadline "
            f"lacks ({EMBEDDED_FOLDER} is where it belongs). Install Leadline again."
        )
    return _download(weights.repo, weights, needed_by)


def verify(weights: WeightsFile, path: Path, *, stated: str | None = None) -> str:
    """Check the content of a file of the hub's cache; record it when it is the first of its name.

    Args:
        weights: which file it should be.
        path: where it lies, in the cache's folder of its revision.
        stated: the hub's own digest of it, where it gives one.

    Returns:
        Its SHA-256.

    Raises:
        WeightsError: another digest is stated or recorded. The file is then removed, so that no
            later call takes it.
    """
    digest = sha256_of(path)
    revision = path.parents[len(Path(weights.file).parts) - 1].name  # snapshots/REVISION/FILE
    known = {
        "the catalogue states": weights.sha256,
        "the hub states": stated,
        f"was recorded at its first download ({digests_file()})": _recorded(weights, revision),
    }
    for source, wanted in known.items():
        if wanted not in (None, digest):
            path.resolve().unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise WeightsError(
                f"{weights.file} from {weights.repo} at revision {revision[:12]} has the SHA-256 "
                f"{digest}, but {wanted} {source}. It was removed; try again, or ask whoever runs "
                "the hub or mirror what changed."
            )
    try:
        _record(weights, revision, digest)
    except (OSError, InputError) as error:
        warnings.warn(
            f"the SHA-256 of {weights.file} cannot be recorded in {digests_file()} ({error}), so "
            "that a later change of it stays unnoticed. Make the folder writable.",
            stacklevel=2,
        )
    return digest


def remove(repo: str) -> int:
    """Delete the hub's ``repo`` from the cache, with what broken downloads left of it.

    The digests that were recorded stay, so that the same revision has to come again as it was.

    Returns:
        Bytes that are free now; 0 when nothing of it was here.
    """
    folder = _cache() / f"models--{repo.replace('/', '--')}"
    if not folder.is_dir():
        return 0
    cached = _huggingface_hub().scan_cache_dir(_cache())
    found = [one for one in cached.repos if one.repo_id == repo and one.repo_type == "model"]
    revisions = [revision.commit_hash for one in found for revision in one.revisions]
    if revisions:
        plan = cached.delete_revisions(*revisions)
        plan.execute()
        return plan.expected_freed_size
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    shutil.rmtree(folder)  # no download of it was ever complete
    return size


def digests_file() -> Path:
    """The JSON file of the digests recorded at first downloads, beside the hub's cache."""
    return _cache().with_name("leadline-digests.json")


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
        weights = WeightsFile(repo=repo, file=file, revision=revision)
        return _download(repo, weights, repo)
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
    hub = _huggingface_hub()
    return hub.hf_hub_url(weights.repo, weights.file, revision=weights.revision)


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


def _download(repo: str, weights: WeightsFile, needed_by: str) -> Path:
    hub = _huggingface_hub()
    where = {"repo_id": repo, "filename": weights.file, "revision": weights.revision}
    try:
        # Ask once before downloading: without a network the download alone would try for 23 s.
        found = hub.get_hf_file_metadata(hub.hf_hub_url(**where))
        _announce(weights, found.size)
        path = Path(hub.hf_hub_download(**where))
    except Exception as error:  # the transport's own errors differ between versions of the hub
        raise _undelivered(weights, needed_by, error) from error
    is_digest = re.fullmatch(r"[0-9a-f]{64}", found.etag or "")  # of large files; others' are SHA-1
    verify(weights, path, stated=found.etag if is_digest else None)
    return path


def _announce(weights: WeightsFile, size: int | None) -> None:
    """Say what is about to be downloaded, where huggingface_hub shows its progress too."""
    from huggingface_hub.utils import are_progress_bars_disabled

    if size is None or size < _SMALL or are_progress_bars_disabled():
        return
    licence = _ask_licence(weights) if weights.licence == "unknown" else weights.licence
    print(
        f"leadline: downloading {weights.file} from {weights.repo}, {size / 1e6:.1f} MB, licence "
        f"{licence}{describe_use(licence)}",
        file=sys.stderr,
    )


def _ask_licence(weights: WeightsFile) -> str:
    """What the card of a repository outside the catalogue says; ``unknown`` where it says nothing.

    A card that cannot be had stops no download.
    """
    hub = _huggingface_hub()
    try:
        card = hub.HfApi().model_info(weights.repo, revision=weights.revision).card_data
    except Exception:  # the transport's own errors differ between versions of the hub
        return "unknown"
    return spell_licence(str((card and card.license) or "unknown"))


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


def _cache() -> Path:
    return Path(_huggingface_hub().constants.HF_HUB_CACHE)


def _recorded(weights: WeightsFile, revision: str) -> str | None:
    return _read_digests().get(f"{weights.repo}/{weights.file}", {}).get(revision)


def _record(weights: WeightsFile, revision: str, digest: str) -> None:
    if _recorded(weights, revision) == digest:
        return
    file = digests_file()
    with _huggingface_hub().utils.WeakFileLock(file.with_suffix(".lock")):
        digests = _read_digests()
        digests.setdefault(f"{weights.repo}/{weights.file}", {})[revision] = digest
        write_text(file, json.dumps(digests, indent=2, sort_keys=True) + "\n")


def _read_digests() -> dict[str, dict[str, str]]:
    """``owner/name/file`` -> revision -> SHA-256."""
    file = digests_file()
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {name: dict(revisions) for name, revisions in found.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{file}, the record of downloaded files, cannot be read ({error}); restore it, or "
            "delete it to trust the next downloads anew."
        ) from error


def _huggingface_hub() -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise MissingDependencyError("huggingface_hub", "downloading weights", "all") from error
    return huggingface_hub
