"""What SkyRL's generator does with an environment, against a stand-in for the few names that ours takes from skyrl-gym.

The library itself is run by ``bench/consumers/skyrl.py``.
"""

from __future__ import annotations

import importlib
import json
import sys
from types import ModuleType
from typing import Any

import pytest

from dataselect_env.core.errors import EpisodeOver, NoEpisode, UnknownTask
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.integrations.rows import prompt_rows
from dataselect_env.policies import get_policy
from dataselect_env.policies.reference import BEST_CONSTANTS

ROOM = "dataselect_env.integrations.skyrl_env"
ANSWER = json.dumps(BEST_CONSTANTS["hard"].model_dump(exclude={"metadata"}))


class BaseTextEnv:
    def __init__(self) -> None:
        self.turns = 0


@pytest.fixture
def skyrl_env(monkeypatch: pytest.MonkeyPatch) -> Any:
    gym, text = ModuleType("skyrl_gym"), ModuleType("skyrl_gym.envs.base_text_env")
    registry: dict[str, str] = {}
    vars(gym).update(registry=registry, register=lambda *, id, entry_point: registry.update({id: entry_point}))  # noqa: A006
    vars(text).update(BaseTextEnv=BaseTextEnv, BaseTextEnvStepOutput=dict)
    for name, module in (("skyrl_gym", gym), ("skyrl_gym.envs", ModuleType("envs")), (text.__name__, text)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, ROOM, raising=False)
    yield importlib.import_module(ROOM)
    sys.modules.pop(ROOM, None)


def test_rewards_of_the_turns_add_up_to_the_grade(skyrl_env: Any) -> None:
    (row,) = prompt_rows(["hard"], [20_002])
    env = skyrl_env.DataSelectTextEnv(env_config=None, extras={**row, "max_turns": 30})
    messages, told = env.init(row["prompt"])
    assert [message["role"] for message in messages] == ["system", "user"]
    assert "remaining_budget: 100" in messages[-1]["content"]
    assert told == {"task_id": "hard", "seed": 20_002}
    output, rewards = env.step("Well."), 0.0
    assert (output["reward"], output["done"]) == (0.0, False)
    while not output["done"]:
        assert [message["role"] for message in output["observations"]] == ["user"]
        output = env.step(ANSWER)
        rewards += output["reward"]
    assert output["observations"] == []
    score = rollout(get_policy("best-constant"), "hard", 20_002).grade.score
    assert rewards == pytest.approx(score)
    metrics = env.get_metrics()
    assert (metrics["mistakes"], metrics["episode_return"]) == (1, rewards)
    assert env.turns == metrics["steps"] + 1
    with pytest.raises(EpisodeOver):
        env.step(ANSWER)


def test_it_ends_at_the_generators_last_turn(skyrl_env: Any) -> None:
    env = skyrl_env.DataSelectTextEnv(extras={"task_id": "hard", "seed": 7, "max_turns": 2})
    env.init([{"role": "user", "content": "Play."}])
    assert [env.step(ANSWER)["done"] for _ in range(2)] == [False, True]


def test_what_cannot_be_played_is_refused(skyrl_env: Any) -> None:
    with pytest.raises(NoEpisode):
        skyrl_env.DataSelectTextEnv().step(ANSWER)
    with pytest.raises(UnknownTask):
        skyrl_env.DataSelectTextEnv(extras={"task_id": "harder"}).init([{"role": "user", "content": "Play."}])


def test_it_is_registered_under_a_name_that_leads_to_it(skyrl_env: Any) -> None:
    skyrl_env.register()
    skyrl_env.register()
    module, name = sys.modules["skyrl_gym"].registry[skyrl_env.ENV_CLASS].split(":")
    assert getattr(importlib.import_module(module), name) is skyrl_env.DataSelectTextEnv
