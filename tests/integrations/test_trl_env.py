"""The tool environment is what TRL's trainer looks for, and its reward is the grade."""

from __future__ import annotations

import inspect

import pytest

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import EpisodeOver, InvalidInput, UnknownTask
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import DEFAULT_TASK, TASKS, split_of
from dataselect_env.integrations.rows import prompt_rows
from dataselect_env.integrations.trl_env import DataSelectToolEnv
from dataselect_env.rendering.prompts import render_reply


def test_its_public_methods_are_the_tools_and_what_the_trainer_calls() -> None:
    public = {name for name, _ in inspect.getmembers(DataSelectToolEnv, inspect.isfunction) if not name.startswith("_")}
    assert public == {"reset", "get_reward", "select_batch", "stop"}  # trl would offer any other as a tool


def test_its_tools_describe_every_argument() -> None:
    # What transformers makes a tool's schema from: type hints, and a line for each argument.
    signature = inspect.signature(DataSelectToolEnv.select_batch, eval_str=True)
    documented = inspect.getdoc(DataSelectToolEnv.select_batch) or ""
    for name, parameter in signature.parameters.items():
        typed = parameter.annotation in (int, float, dict[str, float] | None)
        assert name == "self" or (typed and f"    {name}: " in documented)
    assert [parameter.default for parameter in signature.parameters.values()][2:] == [0.0] * 3 + [None]


def test_its_reward_is_the_grade_wherever_the_rollout_ends() -> None:
    env, core = DataSelectToolEnv(), DataSelectEnv()
    env.reset(**prompt_rows(["hard"], [7], tools=True)[0])
    reply, total = core.reset(task_id="hard", seed=7, reward_mode="grade"), 0.0
    for _ in range(3):
        told = env.select_batch(13, diversity=1.0)
        reply = core.step(Action.select(13, diversity=1))
        total += reply.reward or 0.0
        assert told == render_reply(TASKS["hard"], reply)
        assert env.get_reward() == pytest.approx(total)
    env.stop()
    reply = core.step(Action.stop())
    assert reply.info is not None
    assert reply.info.grade is not None
    assert env.get_reward() == pytest.approx(reply.info.grade.score)


def test_a_reset_begins_anew() -> None:
    env = DataSelectToolEnv()
    first = env.reset(task_id="hard", seed=7)
    env.select_batch(50, random=1.0)
    env.select_batch(50, random=1.0)
    with pytest.raises(EpisodeOver):  # which the trainer hands to the model as the tool's answer
        env.select_batch(10, random=1.0)
    assert env.get_reward() > 0
    assert env.reset(task_id="hard", seed=7, prompt=[], another_column=1) == first
    assert env.get_reward() == 0


def test_a_row_may_leave_task_and_seed_out() -> None:
    core = DataSelectEnv()
    DataSelectToolEnv(env=core, reward_mode="shaped").reset()
    assert core.state.task_id == DEFAULT_TASK
    assert split_of(core.state.seed) == "train"
    assert core.state.reward_mode == "shaped"


def test_what_cannot_be_played_is_refused() -> None:
    env = DataSelectToolEnv()
    with pytest.raises(UnknownTask):
        env.reset(task_id="harder")
    env.reset(task_id="hard", seed=7)
    with pytest.raises(InvalidInput, match="batch_size"):
        env.select_batch("many", random=1.0)  # type: ignore[arg-type]  # a model may write anything
    with pytest.raises(InvalidInput, match="strategy_weights"):
        env.select_batch(10)
    assert env.get_reward() == 0
