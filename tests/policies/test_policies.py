"""Policies do what their descriptions say, and a user's own plug in by name."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.validity import candidates, tuning
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, StrategyName
from dataselect_env.core.tasks import MIN_BATCH, SPLITS, TASKS
from dataselect_env.evaluation.rollout import Rollout, rollout
from dataselect_env.policies import GROUPS, POLICIES, AnyPolicy, OraclePolicy, Policy, expand, get_policy
from dataselect_env.policies.policy import PolicyError, guarded
from dataselect_env.policies.reference import BEST_CONSTANTS

OWN = '''
from dataselect_env.core.models import Action
from dataselect_env.policies import POLICIES, Policy

def five(task, rng):
    """Buys five.

    And goes on.
    """
    return lambda reply: Action.select(5, random=1)

class Counter:
    def __init__(self, task, rng):
        self.steps = 0

    def __call__(self, reply):
        self.steps += 1
        return Action.select(4 + self.steps, random=1)

named = Policy("named", "Stops.", POLICIES["stop"].start)
number = 5

def never(task, rng):
    return 1 / 0

def later(task, rng):
    return lambda reply: reply.nothing
'''


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's module that can be imported, by a name that no other test has imported."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    (tmp_path / f"{name}_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def first_action(policy: AnyPolicy, task_id: str = "hard") -> Action:
    assert isinstance(policy, Policy)
    reply = DataSelectEnv().reset(task_id=task_id, seed=3)
    return policy.start(TASKS[task_id], np.random.default_rng(0))(reply)


def batches(episode: Rollout) -> list[tuple[str, int, float]]:
    """Return of each purchase the strategy that chose most of it, its size, and its noise ratio."""
    infos = [reply.info for reply in episode.replies if reply.info is not None and reply.info.batch_size]
    return [(max(one.bought_by, key=one.bought_by.__getitem__), one.batch_size, one.noise_ratio or 0) for one in infos]


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("balanced", Action.select(10, uncertainty=0.4, diversity=0.4, random=0.2)),
        ("random", Action.select(10, random=1)),
        ("uncertainty", Action.select(10, uncertainty=1)),
        ("diversity", Action.select(10, diversity=1)),
        ("stop", Action.stop()),
    ],
)
def test_constant_policies(name: str, action: Action) -> None:
    assert first_action(get_policy(name)) == action


def test_registry_entries_are_named_and_described_in_one_sentence() -> None:
    for name, policy in POLICIES.items():
        assert policy.name == name
        assert policy.description.endswith("."), name
        assert ". " not in policy.description, name
        assert "\n" not in policy.description, name


def test_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(InvalidInput) as caught:
        get_policy("balancd")
    assert caught.value.field == "policy"
    for name in ("did you mean balanced?", *GROUPS["reference"], "the group degenerate", "module:attribute"):
        assert name in caught.value.message


# --- groups ---------------------------------------------------------------------------------------------------------


def test_groups_have_policies_that_exist() -> None:
    for name, members in GROUPS.items():
        assert set(members) <= set(POLICIES), name
        assert len(set(members)) == len(members), name
        assert name not in POLICIES
    assert set(GROUPS["all"]) == set(POLICIES) == {*GROUPS["reference"], *GROUPS["degenerate"]}
    assert set(GROUPS["ladder"]) <= set(GROUPS["reference"])


def test_groups_expand_where_they_are_named() -> None:
    assert expand(["probing", "ladder", "my:own", "stop"]) == (
        "probing",
        *(name for name in GROUPS["ladder"] if name != "probing"),
        "my:own",
    )
    assert expand(["all"]) == GROUPS["all"]


def test_oracles_are_a_kind_of_their_own() -> None:
    oracles = {name for name, policy in POLICIES.items() if isinstance(policy, OraclePolicy)}
    assert oracles == {"oracle", "greedy-oracle"}
    assert oracles.isdisjoint(GROUPS["degenerate"])


# --- honest policies ------------------------------------------------------------------------------------------------


def test_best_constants_are_those_of_the_search_on_the_train_split() -> None:
    found = json.loads(tuning.TARGET.read_text(encoding="utf-8"))
    first, last = found["seeds"]
    assert first in SPLITS["train"]
    assert last in SPLITS["train"]
    for task_id, action in BEST_CONSTANTS.items():
        chosen = first_action(getattr(candidates, found["tasks"][task_id]["chosen"]["policy"]), task_id)
        weights, ours = chosen.strategy_weights.as_tuple(), action.strategy_weights.as_tuple()
        assert chosen.batch_size == action.batch_size
        assert np.allclose(np.array(weights) / sum(weights), np.array(ours) / sum(ours))
        assert first_action(get_policy("best-constant"), task_id) == action


def test_random_agent_draws_anew_each_step() -> None:
    infos = [reply.info for reply in rollout(get_policy("random-agent"), "easy", 3).replies if reply.info is not None]
    sizes = [info.batch_size for info in infos]
    assert len(set(sizes)) > 3
    assert all(5 <= size <= 30 for size in sizes)
    assert all(sum(info.bought_by[name] for info in infos) > 0 for name in infos[0].bought_by)


def test_plateau_stops_two_steps_after_its_best() -> None:
    for seed in range(20_300, 20_310):
        episode = rollout(get_policy("plateau"), "hard", seed)
        performance = [reply.observation.current_performance for reply in episode.replies]
        info = episode.replies[-1].info
        assert info is not None
        if info.end_reason == "stop":  # the stop itself repeats the last performance
            assert int(np.argmax(performance)) == len(performance) - 4
            return
    pytest.fail("it never stopped")


def test_noise_rule_follows_the_estimate() -> None:
    replies = rollout(get_policy("noise-rule"), "hard", 20_300).replies
    used = set()
    expected: StrategyName
    for before, after in pairwise(replies):
        assert after.info is not None
        expected = "diversity" if before.observation.noise_estimate > TASKS["hard"].flip_y else "uncertainty"
        assert after.info.bought_by[expected] == after.info.batch_size
        used.add(expected)
    assert used == {"diversity", "uncertainty"}


@pytest.mark.parametrize("task_id", ["medium", "hard"])
def test_probing_commits_to_what_the_probe_showed(task_id: str) -> None:
    seen = set()
    for seed in range(20_300, 20_310):
        probe, *rest = batches(rollout(get_policy("probing"), task_id, seed))
        assert probe[:2] == ("uncertainty", MIN_BATCH)
        if probe[2] > 0.5:
            assert {batch[0] for batch in rest} == {"diversity"}
            assert min(batch[1] for batch in rest[:-1]) >= 13
        else:
            strategies = [batch[0] for batch in rest]
            clean = strategies.count("uncertainty")
            assert rest[0][:2] == ("uncertainty", 48)
            assert strategies == ["uncertainty"] * clean + ["random"] * (len(rest) - clean)
        seen.add(probe[2] > 0.5)
    assert seen == {True, False}


@pytest.mark.parametrize("task_id", TASKS)
def test_probing_spends_the_budget(task_id: str) -> None:
    parts = rollout(get_policy("probing"), task_id, 20_300).grade.breakdown
    assert parts.budget - parts.budget_used < MIN_BATCH


# --- degenerate policies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one-min-random", [("random", 5)]),
        ("two-diversity", [("diversity", 10)] * 2),
        ("three-random", [("random", 13)] * 3),
        ("gate-diversity", [("diversity", 40)]),
        ("half-uncertainty", [("uncertainty", 50)]),
        ("giant-diversity", [("diversity", 100)]),
        ("min-random", [("random", 5)] * 8),
        ("coasting-random", [("random", 50), *[("random", 5)] * 7]),
        ("cramming-diversity", [*[("diversity", 5)] * 7, ("diversity", 65)]),
        ("in-turn", [("uncertainty", 5), ("diversity", 5), ("random", 5)] * 2 + [("uncertainty", 5), ("diversity", 5)]),
    ],
)
def test_degenerate_policies_buy_what_they_say(name: str, expected: list[tuple[str, int]]) -> None:
    assert [batch[:2] for batch in batches(rollout(get_policy(name), "hard", 20_301))] == expected


def test_lucky_ones_stop_when_nothing_was_wrong() -> None:
    ends = set()
    for seed in range(20_300, 20_320):
        found = batches(rollout(get_policy("lucky-5-random"), "medium", seed))
        clean = [noise == 0 for _, _, noise in found]
        assert len(found) == (1 if clean[0] else TASKS["medium"].max_steps)
        ends.add(len(found))
    assert ends == {1, 12}


def test_passing_ones_stop_as_soon_as_it_is_enough() -> None:
    stopped = 0
    for seed in range(20_300, 20_305):
        replies = rollout(get_policy("passing-random"), "medium", seed).replies
        enough = [reply.observation.current_performance > TASKS["medium"].pass_performance for reply in replies]
        if any(enough):  # the stop itself repeats the last performance
            assert enough.index(True) == len(enough) - 2
            stopped += 1
    assert stopped > 0


def test_noise_chaser_keeps_to_the_noisiest() -> None:
    found = batches(rollout(get_policy("noise-chaser"), "hard", 20_300))
    assert [batch[0] for batch in found[:3]] == ["uncertainty", "diversity", "random"]
    noisiest = max(found[:3], key=lambda batch: batch[2])[0]
    assert {batch[0] for batch in found[3:]} == {noisiest}


# --- a user's own ---------------------------------------------------------------------------------------------------


def test_own_function(own_module: str) -> None:
    policy = get_policy(f"{own_module}:five")
    assert (policy.name, policy.description) == (f"{own_module}:five", "Buys five.")
    assert first_action(policy) == Action.select(5, random=1)


def test_own_class_starts_anew_each_episode(own_module: str) -> None:
    policy = get_policy(f"{own_module}:Counter")
    assert first_action(policy).batch_size == 5
    assert first_action(policy).batch_size == 5


def test_own_policy_object_keeps_its_name(own_module: str) -> None:
    assert get_policy(f"{own_module}:named").name == "named"


@pytest.mark.parametrize(
    ("suffix", "problem"),
    [
        (":six", "has no attribute 'six'"),
        (":", "has no attribute ''"),
        (":number", "should be a Policy or a function start(task, rng), not int"),
        ("_missing:five", "ModuleNotFoundError"),
        ("_broken:five", "ZeroDivisionError: division by zero"),
    ],
)
def test_own_policy_that_cannot_be_used(own_module: str, suffix: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        get_policy(own_module + suffix)
    assert problem in caught.value.message
    assert caught.value.field == "policy"


@pytest.mark.parametrize("name", [":", ":five", ".relative:five"])
def test_names_that_are_no_module(name: str) -> None:
    with pytest.raises(InvalidInput, match="could not import"):
        get_policy(name)


@pytest.mark.parametrize(
    ("attribute", "cause", "line"), [("never", ZeroDivisionError, 24), ("later", AttributeError, 27)]
)
def test_guarded_policy_says_where_it_failed(
    own_module: str, attribute: str, cause: type[Exception], line: int
) -> None:
    policy = guarded(get_policy(f"{own_module}:{attribute}"))
    with pytest.raises(PolicyError) as caught:
        first_action(policy)
    assert re.search(
        rf"^policy \S+:{attribute} failed in .*{own_module}.py, line {line}: {cause.__name__}: ", str(caught.value)
    )
    assert isinstance(caught.value.__cause__, cause)


def test_guarded_policy_plays_as_before() -> None:
    assert first_action(guarded(get_policy("diversity"))) == first_action(get_policy("diversity"))
    assert guarded(get_policy("oracle")).name == "oracle"
