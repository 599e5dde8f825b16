"""Record the episodes that tests/core/test_golden.py compares with (tests/golden/dynamics-<DYNAMICS_VERSION>/).

    python -m bench.record_golden
    python -m bench.record_golden --exact tests/golden/exact-3.json

Plays two fixed scripts on every task and writes the actions and all replies, one file per episode. The recordings of a
released DYNAMICS_VERSION never change: if episodes change, raise the version. During the development of a version,
``--overwrite`` replaces its recordings.

``--exact`` writes every number of the same episodes bit for bit, together with the libraries that computed them. Such a
file may be replaced for newer libraries, because rounding differs between them and between processors.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np
from threadpoolctl import threadpool_info

from dataselect_env import Action, DataSelectEnv
from dataselect_env.core.tasks import DYNAMICS_VERSION, PINNED

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
EVERY_STRATEGY = [
    Action.select(5, random=1),
    Action.select(12, uncertainty=1),
    Action.select(0, diversity=1),
    Action.select(20, uncertainty=0.4, diversity=0.4, random=0.2),
    Action.select(7, uncertainty=3, random=1),
    Action.stop(),
]
WHOLE_BUDGET = [
    Action.select(30, diversity=1, random=1),
    Action.select(15, uncertainty=1, diversity=2),
    Action.select(1_000, random=1),
]
SCRIPTS = {7: EVERY_STRATEGY, 20_007: WHOLE_BUDGET}
"""The actions of a script and the seed of its episode."""


def record(task_id: str, seed: int, actions: list[Action]) -> dict[str, Any]:
    """Play one episode and return it as JSON; the replies omit ``metadata``, which repeats other fields."""
    env = DataSelectEnv()
    replies = [env.reset(task_id=task_id, seed=seed, episode_id="golden"), *map(env.step, actions)]
    return {
        "dynamics_version": DYNAMICS_VERSION,
        "task_id": task_id,
        "seed": seed,
        "actions": [action.model_dump(mode="json") for action in actions],
        "replies": [reply.model_dump(mode="json", exclude={"metadata"}) for reply in replies],
    }


def hexadecimal(value: Any) -> Any:
    """Return a JSON value with every float in hexadecimal, as ``float.hex`` writes it."""
    if isinstance(value, dict):
        return {key: hexadecimal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [hexadecimal(inner) for inner in value]
    return value.hex() if isinstance(value, float) else value


def computed_by() -> dict[str, Any]:
    """Return the libraries and the processor, which determine how numbers are rounded.

    Of BLAS it is the one that numpy uses: which others are loaded depends on what else the process has imported.
    """
    of_numpy = Path(np.__file__).parent.name
    libraries = [one for one in threadpool_info() if one["user_api"] == "blas" and of_numpy in one["filepath"]]
    return {
        **{name: version(name) for name in ("numpy", "scipy", "scikit-learn")},
        "blas": sorted({f"{one['internal_api']} {one['version']} {one['architecture']}" for one in libraries}),
        "machine": f"{platform.machine()} {platform.libc_ver()[0]}",
        "compiled": find_spec("_dataselect_env_compiled") is not None,
    }


def exact_recording() -> dict[str, Any]:
    """Play all scripts and return the replies bit for bit, with the libraries and the processor."""
    replies = {
        f"{task_id}-{seed}": hexadecimal(record(task_id, seed, actions)["replies"])
        for task_id in PINNED
        for seed, actions in SCRIPTS.items()
    }
    return {"dynamics_version": DYNAMICS_VERSION, "computed_by": computed_by(), "replies": replies}


@click.command()
@click.option("--overwrite", is_flag=True, help="Replace the recordings of the current DYNAMICS_VERSION.")
@click.option("--exact", type=click.Path(path_type=Path), help="Write only the exact numbers, to this file.")
def main(*, overwrite: bool, exact: Path | None) -> None:
    """Record the golden episodes of the current dynamics."""
    if exact is not None:
        exact.write_text(json.dumps(exact_recording(), indent=1) + "\n", encoding="utf-8")
        return
    folder = GOLDEN / f"dynamics-{DYNAMICS_VERSION}"
    if folder.exists() and not overwrite:
        raise click.ClickException(
            f"Dynamics {DYNAMICS_VERSION} are already recorded; raise DYNAMICS_VERSION, or use --overwrite."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for task_id in PINNED:
        for seed, actions in SCRIPTS.items():
            episode = json.dumps(record(task_id, seed, actions), indent=1)
            (folder / f"{task_id}-{seed}.json").write_text(episode + "\n", encoding="utf-8")
    click.echo(f"{len(PINNED) * len(SCRIPTS)} episodes recorded in {folder.name}")


if __name__ == "__main__":
    main()
