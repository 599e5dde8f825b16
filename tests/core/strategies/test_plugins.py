"""Strategies of other authors: what they raise or return wrongly refuses the step, by name, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from dataselect_env import DataSelectEnv
from dataselect_env.core.actions import action_model
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.strategies import Candidates, Strategy, register, registry
from dataselect_env.core.strategies.plugins import guarded
from tests.helpers.candidates import make
from tests.helpers.owning import WINE, forgotten, offered, plain

ERRORS = (
    KeyError("x"),
    AttributeError("no"),
    UnboundLocalError("x"),
    ZeroDivisionError(),
    AssertionError(),
    OSError(2),
)
NONSENSE: dict[str, tuple[object, str]] = {
    "none": (None, "returned None;"),
    "shape": (np.zeros(39), r"returned an array of shape \(39,\);"),
    "nan": (np.full(40, np.nan), "returned NaN for a sample that is left;"),
    "text": ("best", "returned str;"),
    "ragged": ([[1.0], [1.0, 2.0]], "returned list;"),
    "words": (np.full(40, "a"), "returned an array of shape"),
}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with patch.dict(registry.STRATEGIES), forgotten():
        yield


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_whatever_is_raised_is_refused_with_its_name(error: Exception) -> None:
    def raising(*_: object) -> None:
        raise error

    with pytest.raises(InvalidInput, match=f"^strategy mine failed: {type(error).__name__}:") as caught:
        guarded("strategy mine", raising)(make(0), 3)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("answer", NONSENSE)
def test_whatever_else_than_numbers_is_returned_is_refused_with_its_name(answer: str) -> None:
    value, words = NONSENSE[answer]
    with pytest.raises(InvalidInput, match=f"^strategy mine {words}"):
        guarded("strategy mine", lambda *_: value)(make(0), 3)


def test_numbers_may_have_another_form() -> None:
    assert guarded("strategy mine", lambda *_: list(range(40)))(make(0), 3).tolist() == list(range(40))


@pytest.mark.parametrize("mixing", ["quotas", "ranks"])
def test_a_failure_leaves_the_episode_as_it_was(mixing: str) -> None:
    broken = False

    def moody(candidates: Candidates, _count: int) -> Any:
        drawn = candidates.rng.random(len(candidates.left))
        return None if broken else np.where(candidates.left, drawn, -np.inf)

    register(Strategy("moody", "Random, on good days.", "none", moody))
    task = offered(**{**WINE, "strategies": ["moody"], "mixing": mixing})
    action = action_model(task.extra_strategies).select(8, random=1, moody=1)
    failed, expected = DataSelectEnv(), DataSelectEnv()
    for env in (failed, expected):
        env.reset(task_id=task.task_id, seed=3)
    broken = True
    before = failed.state
    with pytest.raises(InvalidInput, match="strategy moody returned None"):
        failed.step(action)
    assert failed.state == before
    broken = False
    assert plain(failed.step(action)) == plain(expected.step(action))
