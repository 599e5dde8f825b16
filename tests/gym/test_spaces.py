"""Action spaces: decoding, masks of useless actions, and refusal of invalid ones."""

from __future__ import annotations

import numpy as np
import pytest

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import MIN_BATCH, TASKS
from dataselect_env.gym.env import DataSelectGymEnv
from dataselect_env.gym.spaces import MENU, SIZES, ActionKind, largest, multi_discrete, read_actions
from dataselect_env.policies.features import encode

HARD = TASKS["hard"]


def action(kind: ActionKind, choice: object) -> Action:
    return read_actions(kind, np.array([100.0]), np.array([8.0]), np.array([choice])).action(0)


def test_multi_discrete_actions() -> None:
    assert action("multi_discrete", (0, 4, 4, 4)).action_type == "stop"
    assert action("multi_discrete", (1, 4, 0, 0)) == Action.select(MIN_BATCH, uncertainty=4)
    assert action("multi_discrete", (7, 0, 1, 3)) == Action.select(100, diversity=1, random=3)
    assert action("multi_discrete", (3, 0, 0, 0)) == Action.select(12, uncertainty=1, diversity=1, random=1)


def test_discrete_actions_are_those_of_the_menu() -> None:
    assert action("discrete", 0).action_type == "stop"
    smallest = action("discrete", 1)
    assert smallest.batch_size == MIN_BATCH
    assert smallest.strategy_weights.uncertainty == pytest.approx(1)
    assert (
        len({(chosen.batch_size, chosen.strategy_weights) for chosen in (action("discrete", n) for n in range(25))})
        == 25
    )


@pytest.mark.parametrize(
    ("kind", "choice"),
    [
        ("discrete", -1),
        ("discrete", len(MENU)),
        ("discrete", 3.0),
        ("multi_discrete", (8, 0, 0, 0)),
        ("multi_discrete", (1, 0, -1, 0)),
        ("multi_discrete", (1, 0, 0)),
        ("box", (0.0, 0.0, 0.0, np.inf, 0.0)),
    ],
)
def test_what_is_no_action_is_refused(kind: ActionKind, choice: object) -> None:
    with pytest.raises(InvalidInput, match="action"):
        action(kind, choice)


def test_masks_leave_out_an_idle_stop_and_sizes_that_are_the_same() -> None:
    env = DataSelectGymEnv("hard", actions="multi_discrete")
    env.reset(seed=1)
    mask = env.action_masks()
    assert mask.shape == (sum(multi_discrete()),)
    assert mask.tolist() == [False, *[True] * (sum(multi_discrete()) - 1)]
    env.step(np.array([6, 0, 1, 0]))  # 59 of 100 samples
    sizes = [action("multi_discrete", (n + 1, 1, 0, 0)).batch_size for n in range(len(SIZES))]
    assert sizes == [5, 8, 12, 21, 35, 59, 100]
    assert env.action_masks()[:8].tolist() == [True] * 7 + [False]  # a batch of 59 buys the 41 that are left
    env.step(np.array([5, 0, 1, 0]))
    assert env.action_masks()[:8].tolist() == [True] * 3 + [False] * 5  # a batch of 8 buys the 6 that are left


def test_masks_of_the_menu_go_by_size() -> None:
    env = DataSelectGymEnv("hard", actions="discrete")
    env.reset(seed=1)
    env.step(6)  # 59 by uncertainty
    env.step(5)
    assert env.action_masks().tolist() == [True, *([True] * 2 + [False] * 4) * 4]


def test_box_actions_have_no_masks() -> None:
    with pytest.raises(InvalidInput, match="only discrete and multi_discrete"):
        DataSelectGymEnv("hard").action_masks()


def test_encoded_actions_are_what_box_actions_say() -> None:
    for chosen in (Action.stop(), Action.select(17, uncertainty=0.2, random=3), Action.select(90, diversity=1)):
        vector = encode(HARD, chosen).astype(np.float32)
        again = action("box", vector)
        assert (again.action_type, again.batch_size) == (chosen.action_type, chosen.batch_size)


def test_bounds_are_those_of_the_largest_task() -> None:
    assert largest()["remaining_budget"] == 300
    assert largest()["step"] == 16
    assert largest()["samples_available"] == 1100
