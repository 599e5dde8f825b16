"""Play with every supported openenv, each in a virtual environment made by a plain ``pip install``.

    python -m bench.consumers.openenv_versions --folder /some/folder

One server runs from this checkout; the replies to each version's client are compared with the episode in process. The
results are in ``openenv_versions.json``. Environments that are already in the folder are reused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.consumers.environments import ROOT, conclude, interpreter, probe, served

VERSIONS = ("0.4.1", "0.4.2", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "0.9.0", "0.10.0")
PROBE = Path(__file__).with_name("openenv_probe.py")


@click.command()
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the environments."
)
def main(folder: Path) -> None:
    """Play with every version and write the results."""
    results: dict[str, dict[str, Any]] = {}
    with served() as url:
        for version in VERSIONS:
            python = interpreter(folder.resolve() / f"openenv-{version}", [f"openenv=={version}", str(ROOT)])
            results[version] = probe(python, PROBE, url)
            click.echo(f"{version}: {results[version]}")
    conclude(results, Path(__file__).with_suffix(".json"))


if __name__ == "__main__":
    main()
