"""A copy of this checkout, without what tools and builds have left in it, for tests that build or change it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.helpers.serving import ROOT


def copy_checkout(target: Path) -> Path:
    """Copy the checkout to ``target``, which must not exist yet, and return it. What git ignores stays behind."""
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    shutil.copytree(ROOT, target, symlinks=True, ignore=shutil.ignore_patterns(".git", *ignored))
    return target
