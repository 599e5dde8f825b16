"""Render the table of README.md from results/*.json.

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
    """Return one row per library: versions, checks that held, seconds."""
    rows = []
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        versions = ", ".join(
            f"{name} {version}" for name, version in result["versions"].items() if name != "dataselect-env"
        )
        claims = "; ".join(result["claims"])
        command = f"[`{path.stem}`]({path.stem}.py)"
        rows.append((command, f"`{result['extra']}`", versions, claims, f"{result['seconds']:.0f}"))
    return table("run | extra | versions | what it found | seconds", rows)


def rendered(text: str) -> str:
    """Return the page with an up-to-date table."""
    return MARKED.sub(lambda _: f"\n{results()}\n\n", text)


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
