"""Golden episodes: recorded episodes of this dynamics version are reproduced.

A failure means that the dynamics have changed, which requires a new ``DYNAMICS_VERSION`` and new recordings
(``python -m bench.record_golden``). Refactored or faster code must reproduce the recordings.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataselect_env import DataSelectEnv
from dataselect_env.core.models import Action, parse
from dataselect_env.core.tasks import DYNAMICS_VERSION, TASKS

FOLDER = Path(__file__).parents[1] / "golden" / f"dynamics-{DYNAMICS_VERSION}"
RECORDINGS = sorted(FOLDER.glob("*.json"))
TOLERANCE = 1e-6
EPISODES_PER_TASK = 2


def differences(recorded: Any, now: Any, place: str = "") -> list[str]:
    """Return the paths at which two JSON values differ: floats by more than the tolerance, other values at all."""
    if isinstance(recorded, dict) and isinstance(now, dict) and recorded.keys() == now.keys():
        return [text for key in recorded for text in differences(recorded[key], now[key], f"{place}.{key}")]
    if isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        pairs = enumerate(zip(recorded, now, strict=True))
        return [text for index, (old, new) in pairs for text in differences(old, new, f"{place}[{index}]")]
    if type(recorded) is type(now) is float:
        same = abs(recorded - now) <= TOLERANCE * max(1.0, abs(recorded))
    else:
        same = type(recorded) is type(now) and recorded == now
    return [] if same else [f"{place}: recorded {recorded}, now {now}"]


def test_these_dynamics_are_recorded() -> None:
    hint = f"dynamics {DYNAMICS_VERSION} are not recorded, or not whole: run python -m bench.record_golden"
    counts = {task_id: sum(path.name.startswith(f"{task_id}-") for path in RECORDINGS) for task_id in TASKS}
    assert counts == dict.fromkeys(TASKS, EPISODES_PER_TASK), hint


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_recorded_episode_comes_out_the_same(path: Path) -> None:
    recording = json.loads(path.read_text(encoding="utf-8"))
    task_id, seed = recording["task_id"], recording["seed"]
    assert (path.stem, recording["dynamics_version"]) == (f"{task_id}-{seed}", DYNAMICS_VERSION)

    env = DataSelectEnv()
    replies = [env.reset(task_id=task_id, seed=seed, episode_id="golden")]
    replies += [env.step(parse(Action, action)) for action in recording["actions"]]
    now = [reply.model_dump(mode="json", exclude={"metadata"}) for reply in replies]
    assert differences(recording["replies"], now) == []
    assert env.state.done


@pytest.mark.parametrize(
    ("recorded", "now"),
    [(1.0, 1.0 + 1e-5), (1, 2), (1, 1.0), (1, True), (None, 0.0), ({"a": 1}, {"b": 1}), ([1], [1, 1]), ("a", "b")],
)
def test_a_difference_is_noticed(recorded: Any, now: Any) -> None:
    assert len(differences([{"at": recorded}], [{"at": now}])) == 1


def test_no_difference_is_made_up() -> None:
    assert differences([1.0, 1, True, None, "a", {}], [1.0 + 1e-9, 1, True, None, "a", {}]) == []
