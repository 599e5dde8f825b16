"""Play with every supported openenv, each in a virtual environment as a plain ``pip install`` makes it.

    python -m bench.consumers.openenv_versions --folder /some/folder

One server runs from this checkout; what each version's client does at it is compared with the episode in process.
Results: ``openenv_versions.json`` beside this file. Environments that are already in the folder are used again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import click

from bench.consumers.served import served

VERSIONS = ("0.4.1", "0.4.2", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "0.9.0", "0.10.0")
ROOT = Path(__file__).resolve().parent.parent.parent
PROBE = Path(__file__).with_name("openenv_probe.py")
RESULTS = Path(__file__).with_suffix(".json")
INSTALL_SECONDS = 1_800
PROBE_SECONDS = 300


def interpreter(folder: Path, version: str) -> Path:
    """Return the interpreter of a virtual environment with this package and one version of openenv."""
    place = folder / f"openenv-{version}"
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet", f"openenv=={version}", str(ROOT)]
    subprocess.run(install, check=True, timeout=INSTALL_SECONDS, stdin=subprocess.DEVNULL)
    return python


def probe(python: Path, url: str) -> dict[str, Any]:
    """Return what ``openenv_probe`` finds in a virtual environment; isolated, so that it runs what was installed."""
    command = [str(python), "-I", str(PROBE), url]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PROBE_SECONDS, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@click.command()
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="For the environments.")
@click.option("--versions", default=",".join(VERSIONS), show_default=True, help="Versions, divided by commas.")
def main(folder: Path, versions: str) -> None:
    """Play with every version and write the results."""
    results: dict[str, Any] = {}
    with served() as url:
        for version in versions.split(","):
            results[version] = probe(interpreter(folder.resolve(), version), url)
            click.echo(f"{version}: {results[version]}")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    failed = [version for version, told in results.items() if "failed" in told or not all(told["checks"].values())]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
