"""check_env: DataSelectEnv and both clients of a server pass it, and each rule is broken by one that fails it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest

from dataselect_env import Action, DataSelectEnv, Reply
from dataselect_env.core.errors import EpisodeOver, InvalidInput, UnknownTask
from dataselect_env.integrations.openenv_client import DataSelectEnvClient
from dataselect_env.integrations.remote import RemoteEnv
from dataselect_env.testing import check_env
from dataselect_env.testing.environments import RULES
from tests.helpers.broken import requires
from tests.helpers.owning import OWN, forgotten, offered
from tests.helpers.serving import Server, running_server


def test_the_environment_keeps_the_contract() -> None:
    check_env(DataSelectEnv)


@pytest.mark.parametrize("name", OWN)
def test_the_environment_keeps_the_contract_on_tasks_of_ones_own(name: str) -> None:
    with forgotten():
        offered(**OWN[name])
        check_env(DataSelectEnv, tasks=["mine"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.mark.slow
def test_the_remote_environment_keeps_the_contract(server: Server) -> None:
    check_env(lambda: RemoteEnv(server.base_url))


class OpenEnvAdapter:
    """OpenEnv's typed client, with replies in place of its results."""

    def __init__(self, url: str) -> None:
        self.client = DataSelectEnvClient(url).sync()
        self.client.connect()

    def reset(self, **choices: Any) -> Reply:
        reply: Reply = self.client.reset(**choices).reply
        return reply

    def step(self, action: Any) -> Reply:
        reply: Reply = self.client.step(action).reply
        return reply

    def close(self) -> None:
        self.client.close()


@pytest.mark.slow
def test_the_openenv_client_keeps_the_contract_through_an_adapter(server: Server) -> None:
    check_env(lambda: OpenEnvAdapter(server.base_url))


# --- environments that break a rule ---------------------------------------------------------------------------------


class Wrapped:
    """An environment, for subclasses that change what it does."""

    def __init__(self) -> None:
        self.env = DataSelectEnv()

    def reset(self, **choices: Any) -> Any:
        return self.env.reset(**choices)

    def step(self, action: Any) -> Any:
        return self.changed(self.env.step(action))

    def changed(self, reply: Reply) -> Any:
        return reply


def with_info(reply: Reply, **fields: Any) -> Reply:
    assert reply.info is not None
    return reply.model_copy(update={"info": reply.info.model_copy(update=fields)})


def with_observation(reply: Reply, **fields: Any) -> Reply:
    return reply.model_copy(update={"observation": reply.observation.model_copy(update=fields)})


class DescribesNothing(Wrapped):
    def reset(self, **choices: Any) -> Any:
        return super().reset(**choices).model_copy(update={"problem": None})


class StartsByItself(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.env.reset()


class RepeatsTheEnd(Wrapped):
    def changed(self, reply: Reply) -> Any:
        self.last = reply
        return reply

    def step(self, action: Any) -> Any:
        try:
            return super().step(action)
        except EpisodeOver:
            return self.last


class RaisesItsOwn(Wrapped):
    def step(self, action: Any) -> Any:
        try:
            return super().step(action)
        except EpisodeOver as error:
            raise RuntimeError(error.message) from error


class AnswersAsGymnasium(Wrapped):
    def reset(self, **choices: Any) -> Any:
        return super().reset(**choices), {}


class CannotGrade(Wrapped):
    def reset(self, **choices: Any) -> Any:
        if choices["reward_mode"] == "grade":
            raise NotImplementedError
        return super().reset(**choices)


class IgnoresTheSeed(Wrapped):
    def reset(self, **choices: Any) -> Any:
        return super().reset(**{**choices, "seed": 1})


class RewardsTheReset(Wrapped):
    def reset(self, **choices: Any) -> Any:
        return super().reset(**choices).model_copy(update={"reward": 0.0})


class HidesPartOfTheBudget(Wrapped):
    def reset(self, **choices: Any) -> Any:
        reply = super().reset(**choices)
        return with_observation(reply, remaining_budget=reply.observation.remaining_budget - 1)


class NamesAllTheSame(Wrapped):
    def reset(self, **choices: Any) -> Any:
        return super().reset(**choices, episode_id="episode")


class ReportsAnotherSeed(Wrapped):
    def reset(self, **choices: Any) -> Any:
        reply = super().reset(**choices)
        return reply if choices["seed"] is not None else reply.model_copy(update={"seed": 12_345})


class CountsOnlyPurchases(Wrapped):
    def changed(self, reply: Reply) -> Any:
        return reply.model_copy(update={"step": reply.step - (reply.info is not None and not reply.info.batch_size)})


class ReportsWhatWasAsked(Wrapped):
    def step(self, action: Any) -> Any:
        return with_info(super().step(action), batch_size=getattr(action, "batch_size", 0))


class RoundsRewards(Wrapped):
    def changed(self, reply: Reply) -> Any:
        assert reply.reward is not None
        return reply.model_copy(update={"reward": round(reply.reward, 3)})


class PaysNothing(Wrapped):
    def changed(self, reply: Reply) -> Any:
        return reply.model_copy(update={"reward": None})


class NeverEnds(Wrapped):
    def changed(self, reply: Reply) -> Any:
        return reply.model_copy(update={"done": False})


class KeepsTheGrade(Wrapped):
    def changed(self, reply: Reply) -> Any:
        return with_info(reply, grade=None)


class GivesNoReason(Wrapped):
    def changed(self, reply: Reply) -> Any:
        return with_info(reply, end_reason="max_steps" if reply.done else None)


class KnowsOneMode(Wrapped):
    def reset(self, **choices: Any) -> Any:
        mode = {"shaped": "shaped", "grade": "shaped"}.get(choices["reward_mode"], choices["reward_mode"])
        return super().reset(**{**choices, "reward_mode": mode})


class JudgesMildlyInGradeMode(Wrapped):
    def reset(self, **choices: Any) -> Any:
        self.mode = choices.get("reward_mode")
        return super().reset(**choices)

    def changed(self, reply: Reply) -> Any:
        return with_observation(reply, noise_estimate=0.0) if self.mode == "grade" else reply


class MeasuresInexactly(Wrapped):
    def changed(self, reply: Reply) -> Any:
        return with_observation(reply, diversity_score=reply.observation.diversity_score + 1e-12 * random.random())


class WearsOut(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.resets = itertools.count()

    def reset(self, **choices: Any) -> Any:
        reply = super().reset(**choices)
        return with_observation(reply, diversity_score=reply.observation.diversity_score + next(self.resets))


class SharesOneEpisode(Wrapped):
    shared = DataSelectEnv()

    def __init__(self) -> None:
        super().__init__()
        self.fresh = True

    def reset(self, **choices: Any) -> Any:
        self.fresh = False
        return self.shared.reset(**choices)

    def step(self, action: Any) -> Any:
        return self.env.step(action) if self.fresh else self.shared.step(action)


class Converts(Wrapped):
    def step(self, action: Any) -> Any:
        if isinstance(action, dict) and isinstance(action["batch_size"], str):
            action = {**action, "batch_size": int(action["batch_size"])}
        return super().step(action)


class NamesNoField(Wrapped):
    def reset(self, **choices: Any) -> Any:
        try:
            return super().reset(**choices)
        except InvalidInput as error:
            raise InvalidInput(error.message) from None


class BuysAtWrongActions(Wrapped):
    def step(self, action: Any) -> Any:
        try:
            return super().step(action)
        except InvalidInput:
            if self.env.state.step_count == 0:
                self.env.step(Action.select(5, random=1))
            raise


class AbandonsAtWrongResets(Wrapped):
    def reset(self, **choices: Any) -> Any:
        try:
            return super().reset(**choices)
        except InvalidInput:
            self.env.reset(task_id=choices["task_id"], seed=99)
            raise


BROKEN: dict[str, dict[type[Wrapped], str]] = {
    "order": {
        StartsByItself: "A step before the first reset was accepted; it should be refused with NO_EPISODE",
        RepeatsTheEnd: "A step after the end was accepted; it should be refused with EPISODE_OVER",
        RaisesItsOwn: "A step after the end, which should be refused with EPISODE_OVER, raised RuntimeError",
    },
    "runs": {
        AnswersAsGymnasium: "reset(task_id='easy', seed=3, reward_mode='shaped') returned tuple",
        CannotGrade: "reset(task_id='easy', seed=3, reward_mode='grade') raised NotImplementedError",
    },
    "reset": {
        IgnoresTheSeed: "reset to easy, seed 3, returned (step, reward, done, info, task_id, seed) (0, None, ",
        RewardsTheReset: "(0, 0.0, False, ",
        HidesPartOfTheBudget: "reset to easy returned (budget, pool) (299, 1100)",
        NamesAllTheSame: "two episodes have the same episode_id",
    },
    "described": {DescribesNothing: "reset(task_id='open', seed=3, reward_mode='shaped') returned the problem None"},
    "drawn": {ReportsAnotherSeed: "reset with the seed 12345 that was drawn differs at step 0 in observation"},
    "accounts": {
        CountsOnlyPurchases: "step 1 of easy, stop 0, is step 0 of ",
        ReportsWhatWasAsked: "step 1 of easy, select_batch 0, has (batch_size, bought_by, budget, pool) (0, 5, 5, 5)",
    },
    "terms": {
        RoundsRewards: "step 1 of easy, ",
        PaysNothing: "step 1 of easy, stop 0, has no info or no reward",
    },
    "end": {
        NeverEnds: "step 1 of easy, stop 0, has (done, end_reason, graded) (False, 'stop', True)",
        KeepsTheGrade: "(True, 'stop', False)",
        GivesNoReason: "(True, 'max_steps', True)",
    },
    "grade mode": {
        KnowsOneMode: "rewards of easy add up to ",
        JudgesMildlyInGradeMode: "step 1 of easy differs between the modes",
    },
    "deterministic": {
        WearsOut: "An episode of easy, played again, differs at step 0 in observation",
    },
    "isolated": {SharesOneEpisode: "An episode of easy beside one of another environment differs at step 1 in "},
    "refuses": {
        Converts: "a step with {'batch_size': '10'} was accepted",
        NamesNoField: "reset with {'task_id': 1}, which should be refused with VALIDATION_ERROR on task_id,",
    },
    "unchanged": {
        BuysAtWrongActions: "An episode of easy with wrong values in between differs at step 1 in ",
        AbandonsAtWrongResets: "An episode of easy with wrong values in between differs at step 1 in ",
    },
}
"""Environments by the rule that they break, with a part of the message."""


@pytest.mark.parametrize("rule", RULES)
def test_an_environment_that_breaks_a_rule_fails_by_it(rule: str) -> None:
    for kind, shown in BROKEN[rule].items():
        requires(RULES[rule], lambda: check_env(kind), shown)  # noqa: B023


def test_random_replies_fail_wherever_they_are_compared_first() -> None:
    with pytest.raises(AssertionError, match="differs "):
        check_env(MeasuresInexactly)


def test_the_tasks_are_known() -> None:
    with pytest.raises(UnknownTask):
        check_env(DataSelectEnv, tasks=["harder"])
