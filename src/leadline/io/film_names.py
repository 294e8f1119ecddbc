"""Which files are films, by their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"),
    *(".3gp", ".ogv", ".mts", ".m2ts"),
)
"""Suffixes (lower case) of files that are taken for films."""


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name says that it is a film."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES
