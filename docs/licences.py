"""Write licences.md: what the image installs, with the licences that the packages declare.

    python -m docs.licences

Names and versions come from requirements.lock, licences from the packages as they are installed here.
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from docs.render import ROOT, table

PAGE = Path(__file__).with_name("licences.md")
LOCK = ROOT / "requirements.lock"
HEADING = """# Licences of what the image installs

Every package of requirements.lock with the licence that it declares. Written by `python -m docs.licences`, where those
packages are installed.

"""


def locked() -> dict[str, str]:
    """Return name and version of every pinned package."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))


def declared(package: Distribution) -> str:
    """Return the licence that a package declares: an expression, else its classifiers, else a line of free text."""
    told = package.metadata
    if told["License-Expression"]:
        return str(told["License-Expression"])
    classifiers = [name.rpartition(" :: ")[2] for name in told.get_all("Classifier", []) if name.startswith("License")]
    free = (told["License"] or "").strip().partition("\n")[0]
    return ", ".join(classifiers) or free or "not declared"


def licence(name: str) -> str:
    """Return the licence of an installed package."""
    try:
        return declared(distribution(name))
    except PackageNotFoundError:
        return "not installed here"


def main() -> None:
    rows = ((f"`{name}`", version, licence(name)) for name, version in sorted(locked().items()))
    PAGE.write_text(HEADING + table("package | version | licence", rows), encoding="utf-8")


if __name__ == "__main__":
    main()
