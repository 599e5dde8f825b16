"""Run the examples of curate.md in a temporary folder and write what they print, and the picture, into the page.

    python -m docs.curate_prints

To be run when the policy or the report changes. The questions to a person are cut by hand; ``...`` marks such lines.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

PAGE = Path(__file__).with_name("curate.md")
PICTURE = "curation.png"
CUT = "curate-ask"
BLOCK = re.compile(r"<!-- example: (\S+) -->\n```(\w+)\n(.*?)```", re.DOTALL)


def printed(language: str, code: str, folder: Path) -> str:
    """Run an example and return what it prints."""
    command = ["-c", code] if language == "python" else ["-m", "dataselect_env", *shlex.split(code)[1:]]
    environ = {**os.environ, "PYTHONPATH": str(PAGE.parent.parent)}
    done = subprocess.run(  # noqa: S603  (examples of our own)
        [sys.executable, *command], cwd=folder, env=environ, capture_output=True, text=True, check=True
    )
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.strip("\n").splitlines())


def filled(shown: str, found: re.Match[str]) -> str:
    """Return a block of the page with what its example prints now."""
    return f"{found[1]}{shown}{found[2]}"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for example, language, code in BLOCK.findall(text):
            if example == CUT:
                continue
            shown = printed(language, code, folder)
            pattern = rf"(<!-- prints: {example} -->\n```\n).*?(```)"
            text = re.sub(pattern, partial(filled, shown), text, flags=re.DOTALL)
            if (folder / PICTURE).exists():
                shutil.copy(folder / PICTURE, PAGE.with_name(PICTURE))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
