"""The order of calls: one table for every way to play."""

from __future__ import annotations

import pytest

from dataselect_env import Action, DataSelectEnv
from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import EpisodeOver, EpisodeRunning, NoEpisode
from dataselect_env.core.order import REFUSED, Operation, Phase, check_order
from dataselect_env.core.tasks import TASKS


@pytest.mark.parametrize(("operation", "phase"), REFUSED)
def test_what_the_table_refuses_is_refused(operation: Operation, phase: Phase) -> None:
    error, _ = REFUSED[operation, phase]
    with pytest.raises(error, match=r"The episode|There is no episode"):
        check_order(operation, phase)
    with pytest.raises(error, match="in lane 3"):
        check_order(operation, phase, lane=3)


def test_everything_else_is_allowed() -> None:
    phases: tuple[Phase, ...] = ("none", "running", "over")
    for phase in phases:
        check_order("reset", phase)
    check_order("step", "running")
    check_order("state", "over")
    check_order("grade", "over")
    assert {error for error, _ in REFUSED.values()} == {NoEpisode, EpisodeOver, EpisodeRunning}


def test_an_environment_follows_the_table() -> None:
    env = DataSelectEnv()
    for call in (lambda: env.step(Action.stop()), lambda: env.state, lambda: env.model):
        with pytest.raises(NoEpisode):
            call()
    env.reset(seed=1)
    env.step(Action.stop())
    assert env.state.done
    with pytest.raises(EpisodeOver):
        env.step({"action_type": "nonsense"})


def test_no_step_of_any_kind_changes_an_episode_that_is_over() -> None:
    episode = Episode(TASKS["hard"], 1)
    clean = episode.clean_samples[:5]
    episode.stop()
    trace = list(episode.trace)
    for step in (
        episode.stop,
        lambda: episode.select_batch(5, (1.0, 0.0, 0.0)),
        lambda: episode.buy(clean),
        lambda: episode.step(Action.stop()),
    ):
        with pytest.raises(EpisodeOver):
            step()
    assert episode.trace == trace
