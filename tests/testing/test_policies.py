"""check_policy: every policy of the package passes it, and each rule is broken by a policy that fails it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from dataselect_env.core.actions import action_model
from dataselect_env.core.errors import InvalidInput, UnknownTask
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import BUILT_IN, PINNED, TASKS, Task
from dataselect_env.policies import GROUPS, POLICIES, Act, Policy, get_policy
from dataselect_env.testing import check_policy
from dataselect_env.testing.policies import NO_TRUTH, RULES
from tests.helpers.broken import requires

FIVE = Action.select(5, random=1)
episodes = itertools.count()
of_the_module = np.random.default_rng(0)
shared: dict[str, int] = {}


@pytest.mark.parametrize("name", GROUPS["reference"])
def test_reference_policies_keep_the_contract(name: str) -> None:
    check_policy(name, tasks=PINNED if name == "best-constant" else BUILT_IN)


@pytest.mark.parametrize("name", GROUPS["degenerate"])
def test_degenerate_policies_keep_the_contract(name: str) -> None:
    check_policy(POLICIES[name], tasks=["hard"])


@pytest.mark.parametrize("name", ["ppo:medium", "constant:13:diversity=1+random=0.5", f"{__name__}:start_refusing"])
def test_policies_by_name_keep_the_contract(name: str) -> None:
    check_policy(name)


def start_refusing(task: Task, _rng: np.random.Generator) -> Act:
    """Plays tasks with ground truth only, and says so."""
    if not task.has_ground_truth:
        raise InvalidInput("policy: this one needs to know how many labels were wrong", field="policy")
    return lambda _reply: FIVE


# --- policies that break a rule -------------------------------------------------------------------------------------


def answering(answer: Callable[[Reply], Any]) -> Policy:
    """Return the policy that answers each reply by a function."""
    return Policy("answering", "Made up.", lambda _task, _rng: answer)


def started(start: Callable[[Task, np.random.Generator], Any]) -> Policy:
    return Policy("started", "Made up.", start)


def reads_the_info_of_a_reset(reply: Reply) -> Action:
    return Action.stop() if cast("Any", reply.info).batch_size == 0 else FIVE


def compares_noise_that_may_be_unknown(reply: Reply) -> Action:
    if reply.info is not None and cast("float", reply.info.noise_ratio) > 0.5:
        return Action.select(5, diversity=1)
    return FIVE


def writes_into_the_reply(reply: Reply) -> Action:
    reply.observation.metadata["seen"] = True
    return FIVE


def draws(size: Callable[[], float]) -> Callable[[Reply], Action]:
    return lambda _reply: Action.select(5 + int(20 * size()), random=1)


def start_counting(_task: Task, _rng: np.random.Generator) -> Act:
    size = 5 + next(episodes)
    return lambda _reply: Action.select(size, random=1)


def start_sharing(_task: Task, _rng: np.random.Generator) -> Act:
    shared["steps"] = 0

    def act(_reply: Reply) -> Action:
        shared["steps"] += 1
        return Action.select(5 + shared["steps"], random=1)

    return act


def start_failing_without_truth(task: Task, _rng: np.random.Generator) -> Act:
    return {True: lambda _reply: FIVE}[task.has_ground_truth]


BROKEN: dict[str, dict[Policy, str]] = {
    "plays": {
        answering(reads_the_info_of_a_reset): "at the reply to step 0 raised AttributeError: 'NoneType'",
        started(lambda _task, _rng: 1 / 0): "on easy, seed 0, raised ZeroDivisionError",
    },
    "valid": {
        answering(lambda _reply: None): "answered the reply to step 0 with NoneType",
        answering(lambda _reply: FIVE.model_dump()): "with dict",
        answering(
            lambda _reply: FIVE.model_copy(update={"batch_size": "5"})
        ): "batch_size: Input should be a valid int",
        answering(lambda _reply: FIVE.model_copy(update={"batch_size": -1})): "batch_size: ",
        answering(
            lambda _reply: action_model(("margin",)).select(5, margin=1)
        ): "strategy_weights.margin: unknown field",
    },
    "read-only": {answering(writes_into_the_reply): "changed the reply to step 0"},
    "generators": {
        answering(draws(np.random.random)): "step 0 used the global generator of numpy.random",
        answering(draws(random.random)): "step 0 used the global generator of random",
    },
    "repeatable": {
        answering(draws(np.random.default_rng().random)): "played otherwise the second time",
        answering(draws(of_the_module.random)): "played otherwise the second time",
        started(start_counting): "played otherwise the second time",
    },
    "apart": {started(start_sharing): "played otherwise beside an episode of seed 1"},
    "no truth": {
        answering(
            compares_noise_that_may_be_unknown
        ): f"on {NO_TRUTH}, seed 0, at the reply to step 1 raised TypeError",
        started(start_failing_without_truth): "raised KeyError: False",
    },
}
"""Policies by the rule that they break, with a part of the message."""


@pytest.mark.parametrize("rule", RULES)
def test_a_policy_that_breaks_a_rule_fails_by_it(rule: str) -> None:
    for policy, shown in BROKEN[rule].items():
        requires(RULES[rule], lambda: check_policy(policy), f"{policy.name} on ", shown)  # noqa: B023
    assert NO_TRUTH not in TASKS


def test_a_policy_must_play_the_tasks_that_are_named() -> None:
    limited = Policy("limited", "Made up.", lambda task, _rng: {"hard": lambda _reply: FIVE}[task.task_id])
    requires(RULES["plays"], lambda: check_policy(limited, tasks=["hard", "easy"]), "limited on easy")


def test_names_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no policy"):
        check_policy("balancd")
    with pytest.raises(UnknownTask):
        check_policy(get_policy("stop"), tasks=["harder"])
