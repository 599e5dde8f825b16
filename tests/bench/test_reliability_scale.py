"""bench/reliability/scale: sessions of one server play together as they would alone."""

import json
import os
from pathlib import Path

import pytest

from bench.reliability import process, scale
from bench.reliability.scripts import differences, play_alone

pytestmark = pytest.mark.slow


def test_sessions_side_by_side_equal_the_solo_runs() -> None:
    found = scale.measure(9, seed=2)
    assert found["problems"] == []
    assert found["replies"] > 9 * 3
    stages = found["stages"]
    assert list(stages)[:4] == ["before", "connected", "reset", "step 1"]
    assert (
        stages["connected"]["files"] >= stages["before"]["files"] + 9 - 1
    )  # the one that asked /health may be closing


def test_a_reply_that_differs_is_told() -> None:
    (script,) = scale.scripts(1, seed=2)
    alone = play_alone(script)
    assert differences(script, alone, alone) == []
    assert differences(script, [None, *alone[1:]], alone) == []
    served = [alone[0], {**alone[1], "step": 9}, *alone[2:], alone[-1]]
    told = differences(script, served, alone)
    assert [line.removeprefix(f"{script.episode_id}: ") for line in told] == [
        "reply 1 differs from the solo run in step",
        "went on after its end",
    ]


def test_usage_is_what_the_kernel_tells() -> None:
    before = process.usage(os.getpid())
    with Path(__file__).open(encoding="utf-8"):
        after = process.usage(os.getpid())
    assert after.files == before.files + 1
    assert 1 <= after.resident <= after.peak
    assert json.dumps(process.as_row(after))
