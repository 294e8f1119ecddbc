"""Griffe extension of the site: Sphinx roles in docstrings become code that reads as text."""

from __future__ import annotations

from typing import Any

from griffe import Extension, Object

from tools.site import link_roles


class Roles(Extension):
    """Rewrites every docstring once it is read."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """See :class:`griffe.Extension`."""
        if obj.docstring is not None:
            obj.docstring.value = link_roles(obj.docstring.value)
