"""The page README.md: its table, made from results/*.json.

python -m bench.consumers.page
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from docs.render import table

HERE = Path(__file__).parent
PAGE, RESULTS = HERE / "README.md", HERE / "results"
MARKED = re.compile(r"(?<=<!-- results -->\n).*(?=<!-- /results -->)", re.DOTALL)


def results() -> str:
    """Return one row for each consumer: versions, what was checked, seconds."""
    rows = []
    for path in sorted(RESULTS.glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        versions = ", ".join(
            f"{name} {version}" for name, version in told["versions"].items() if name != "dataselect-env"
        )
        claims = "; ".join(told["claims"])
        command = f"[`{path.stem}`]({path.stem}.py)"
        rows.append((command, f"`{told['extra']}`", versions, claims, f"{told['seconds']:.0f}"))
    return table("run | extra | versions | what it found | seconds", rows)


def rendered(text: str) -> str:
    """Return the page with its table made anew."""
    return MARKED.sub(lambda _: f"\n{results()}\n\n", text)


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
