"""What entries of several families share."""

from __future__ import annotations


def give_advice(name: str, authors: str) -> str:
    """Say why there are no weights, and how to come by some."""
    return (
        f"no weights ship with Leadline. `leadline train {name}` makes some; the authors {authors}"
    )
