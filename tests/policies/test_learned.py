"""Trained policies: what ships is well formed, plays without randomness and earns its place; files keep actors."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.tasks import DYNAMICS_VERSION, PINNED, SPLITS, TASKS
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy
from dataselect_env.policies.features import ACTIONS, FEATURES
from dataselect_env.policies.learned import Actor, load_actor, ppo, trained_actor

EACH_TASK = pytest.mark.parametrize("task_id", PINNED)
TRAINED = resources.files("dataselect_env.policies").joinpath("trained")
LARGEST_FILE = 100_000
SEEDS = range(SPLITS["test"].first_seed + 100, SPLITS["test"].first_seed + 120)


def small_actor() -> Actor:
    """An actor that chooses by the first two features alone."""
    first = np.zeros((2, len(FEATURES)))
    first[0, 0] = first[1, 1] = 1
    menu = np.array([[1.0, 0, 0, 0, 0], [-1, 0, 1, -1, -1], [-1, 0.5, -1, 1, -1]])
    return Actor((first, np.array([[1.0, 0], [0, 1], [0.5, 0.5]])), (np.zeros(2), np.array([0, 0, 0.125])), menu)


# --- what ships -----------------------------------------------------------------------------------------------------


def test_it_is_found_by_name() -> None:
    assert get_policy("ppo") is ppo
    assert ppo.name == "ppo"


@EACH_TASK
def test_the_files_fit_the_features_and_the_dynamics(task_id: str) -> None:
    file = TRAINED.joinpath(f"ppo-{task_id}.npz")
    assert len(file.read_bytes()) < LARGEST_FILE
    with file.open("rb") as opened, np.load(opened) as arrays:
        assert int(arrays["dynamics_version"]) == DYNAMICS_VERSION, "train again: examples/train_ppo.py"
    actor = trained_actor(task_id)
    assert actor.scores(np.zeros(len(FEATURES))).shape == (len(actor.menu),)
    assert np.abs(actor.menu).max() <= 1
    assert actor.menu.shape[1] == len(ACTIONS)


@EACH_TASK
def test_it_plays_without_randomness(task_id: str) -> None:
    first, second = (
        ppo.start(TASKS[task_id], np.random.default_rng(draw))(DataSelectEnv().reset(task_id=task_id, seed=20_001))
        for draw in range(2)
    )
    assert first == second
    assert rollout(ppo, task_id, 20_001).grade == rollout(ppo, task_id, 20_001).grade


@pytest.mark.parametrize("task_id", ["medium", "hard"])
def test_it_beats_the_best_constant_on_held_out_seeds(task_id: str) -> None:
    ours, theirs = (
        fmean(rollout(policy, task_id, seed).grade.score for seed in SEEDS)
        for policy in (ppo, get_policy("best-constant"))
    )
    assert ours > theirs


def test_a_task_that_nobody_trained_for() -> None:
    with pytest.raises(InvalidInput, match="trained on easy, medium, hard only"):
        trained_actor("harder")


# --- actors and files -----------------------------------------------------------------------------------------------


def test_scores_are_a_forward_pass() -> None:
    vector = np.zeros(len(FEATURES))
    vector[:2] = 1, -0.5
    hidden = np.tanh([1, -0.5])
    expected = [hidden[0], hidden[1], hidden.mean() + 0.125]
    actor = small_actor()
    assert actor.scores(vector) == pytest.approx(expected)
    assert actor.best(vector) == pytest.approx(actor.menu[0])


def test_a_file_keeps_an_actor(tmp_path: Path) -> None:
    actor, path = small_actor(), tmp_path / "actor.npz"
    actor.save(path)
    again = load_actor(path)
    for ours, theirs in zip(
        (*actor.weights, *actor.biases, actor.menu), (*again.weights, *again.biases, again.menu), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7)


def test_a_file_for_other_features_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataselect_env.policies.learned.FEATURES_VERSION", 0)
    small_actor().save(tmp_path / "old.npz")
    monkeypatch.undo()
    with pytest.raises(InvalidInput, match="other features"):
        load_actor(tmp_path / "old.npz")


def test_layers_that_do_not_lead_to_the_menu_are_refused() -> None:
    actor = small_actor()
    with pytest.raises(InvalidInput, match="from the features to the menu"):
        Actor(actor.weights, actor.biases, actor.menu[:2])
    with pytest.raises(InvalidInput, match="from the features to the menu"):
        Actor(actor.weights[::-1], actor.biases, actor.menu)
