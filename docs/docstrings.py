"""Griffe extension for the API page: our docstrings, said as mkdocstrings reads them."""

from __future__ import annotations

import re
from typing import Any

import griffe

SPHINX_ROLE = re.compile(r":\w+:`~?(?:[\w.]+\.)?(\w+)`")
EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Cross-references become plain code, and examples the code blocks that they are."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of every object that is read."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(r"\1Examples:", SPHINX_ROLE.sub(r"`\1`", obj.docstring.value))
