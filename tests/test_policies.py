"""Reference policies do what their descriptions say, and a user's own plug in by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataselect_env.env import DataSelectEnv
from dataselect_env.errors import InvalidInput
from dataselect_env.models import Action
from dataselect_env.policies import POLICIES, Policy, get_policy
from dataselect_env.tasks import TASKS

OWN = '''
from dataselect_env.models import Action
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
'''


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's module that can be imported, by a name that no other test has imported."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    (tmp_path / f"{name}_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def first_action(policy: Policy, task_id: str = "hard") -> Action:
    reply = DataSelectEnv().reset(task_id=task_id, seed=3)
    return policy.start(TASKS[task_id], np.random.default_rng(0))(reply)


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


@pytest.mark.parametrize("name", POLICIES)
def test_registry_entries_are_named_and_described_in_one_sentence(name: str) -> None:
    policy = POLICIES[name]
    assert policy.name == name
    assert policy.description.endswith(".")
    assert ". " not in policy.description
    assert "\n" not in policy.description


def test_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(InvalidInput) as caught:
        get_policy("balancd")
    assert caught.value.field == "policy"
    for name in (*POLICIES, "module:attribute"):
        assert name in caught.value.message


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
