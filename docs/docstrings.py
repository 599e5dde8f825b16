"""Griffe extension for the API page: turns our docstrings into what mkdocstrings reads."""

from __future__ import annotations

import re
from typing import Any

import griffe

SPHINX_ROLE = re.compile(r":\w+:`~?(?:[\w.]+\.)?(\w+)`")
EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Cross-references become plain code, and examples become code blocks."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(r"\1Examples:", SPHINX_ROLE.sub(r"`\1`", obj.docstring.value))
