"""Play with the standard MCP clients, old and new, each in its own virtual environment.

    python -m bench.consumers.mcp_clients --folder /some/folder

One server runs from this checkout; rewards are compared with the episode in process. The results are in
``mcp_clients.json``. Environments that are already in the folder are reused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.consumers.environments import conclude, interpreter, probe, served
from bench.consumers.mcp_probe import BATCHES, SEED, TASK
from dataselect_env import Action, DataSelectEnv

CLIENTS = {
    "mcp-1": ["mcp==1.30.0", "fastmcp==3.4.10"],
    "mcp-2": ["mcp==2.3.0", "fastmcp==4.1.2"],
}
"""Packages that openenv 0.10 installs, and those of a plain install."""
PROBE = Path(__file__).with_name("mcp_probe.py")


def expected() -> list[float | None]:
    """Return the rewards of the episode in process."""
    env = DataSelectEnv()
    env.reset(task_id=TASK, seed=SEED)
    moves = [*(Action.select(**batch) for batch in BATCHES), Action.stop()]
    return [env.step(action).reward for action in moves]


@click.command()
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the environments."
)
def main(folder: Path) -> None:
    """Play with every client and write the results."""
    results: dict[str, dict[str, Any]] = {}
    with served() as url:
        for name, requirements in CLIENTS.items():
            result = probe(interpreter(folder.resolve() / name, requirements), PROBE, f"{url}/mcp")
            rewards = result.pop("rewards", {})
            result["checks"] |= {f"{client} plays the episode": got == expected() for client, got in rewards.items()}
            results[name] = result
            click.echo(f"{name}: {result}")
    conclude(results, Path(__file__).with_suffix(".json"))


if __name__ == "__main__":
    main()
