"""What /pool shows: positions from features alone, purchases of demonstrations, the whole mask after the end only."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sklearn.decomposition import PCA

from bench.validity import leak
from dataselect_env.core.data import Pool, dataset_number, make_pool
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import PINNED, TASKS
from dataselect_env.core.warm_start import warm_start
from dataselect_env.server.app import create_app
from dataselect_env.server.pool_view import DEMONSTRATION_PREFIX, positions
from dataselect_env.server.settings import Settings
from tests.helpers.actions import SCRIPT, select, stop

SEEDS = (20_200, 20_203, 7)
LARGEST_ANSWER = 40_000  # bytes
DEMONSTRATION = f"{DEMONSTRATION_PREFIX}1"

ChangePool = Callable[[Pool], Pool]


def as_actions(script: tuple[Action, ...]) -> list[dict[str, Any]]:
    return [action.model_dump(exclude={"metadata"}) for action in script]


WITHOUT_UNCERTAINTY = as_actions(leak.WITHOUT_UNCERTAINTY)
EVERY_STRATEGY = as_actions(leak.EVERY_STRATEGY)


def as_it_is(pool: Pool) -> Pool:
    return pool


def timeout(
    task_id: str, seed: int, episode_id: str, actions: list[dict[str, Any]], change: ChangePool = as_it_is
) -> tuple[list[bytes], list[Pool]]:
    """Play as the page does; return every answer that it gets, frames and bodies in turn, and the pools behind them."""
    pools: list[Pool] = []

    def made(*arguments: Any) -> Pool:
        pools.append(change(make_pool(*arguments)))
        return pools[-1]

    answers = []
    app = create_app(Settings(store="memory:"))
    with (
        patch("dataselect_env.core.source.make_pool", made),
        TestClient(app) as client,
        client.websocket_connect("/ws") as socket,
    ):
        data = {"task_id": task_id, "seed": seed, "episode_id": episode_id}
        for message in ({"type": "reset", "data": data}, *({"type": "step", "data": action} for action in actions)):
            socket.send_text(json.dumps(message))
            answers.append(socket.receive_text().encode())
            pool = client.get("/pool", params={"episode_id": episode_id})
            assert pool.status_code == 200, pool.text
            answers.append(pool.content)
    return answers, pools


def bought(answers: list[bytes]) -> list[int]:
    return [sample for step in json.loads(answers[-1])["purchases"] for sample in step["samples"]]


def other_noise(answers: list[bytes]) -> ChangePool:
    """Return the change that shuffles the mask among what was not bought; the same one at every replay."""
    samples = np.array(bought(answers))

    def change(pool: Pool) -> Pool:
        return leak.with_other_noise(samples, np.random.default_rng(0))(pool)

    return change


@pytest.mark.parametrize(("task_id", "seed"), list(zip(PINNED, SEEDS, strict=True)))
def test_nothing_shown_before_the_end_depends_on_the_mask_of_what_was_not_bought(task_id: str, seed: int) -> None:
    before, pools = timeout(task_id, seed, DEMONSTRATION, WITHOUT_UNCERTAINTY)
    after, others = timeout(task_id, seed, DEMONSTRATION, WITHOUT_UNCERTAINTY, other_noise(before))
    assert len(bought(before)) == 43
    assert (pools[0].mislabelled != others[0].mislabelled).sum() > 50
    assert before == after


def test_the_noise_trap_alone_lets_uncertainty_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    with_trap, _ = timeout("medium", SEEDS[0], DEMONSTRATION, EVERY_STRATEGY)
    changed, _ = timeout("medium", SEEDS[0], DEMONSTRATION, EVERY_STRATEGY, other_noise(with_trap))
    assert with_trap != changed
    monkeypatch.setattr("dataselect_env.core.strategies.sampling.trap_strength", lambda _: 0.0)
    without, _ = timeout("medium", SEEDS[0], DEMONSTRATION, EVERY_STRATEGY)
    unchanged, _ = timeout("medium", SEEDS[0], DEMONSTRATION, EVERY_STRATEGY, other_noise(without))
    assert without == unchanged


def test_while_it_runs_an_episode_that_is_no_demonstration_shows_positions_alone() -> None:
    answers, _ = timeout("medium", SEEDS[0], "an-agent", EVERY_STRATEGY)
    shown = [json.loads(answer) for answer in answers[1::2]]
    assert len(shown) == 5
    assert all(one == shown[0] for one in shown)
    assert (shown[0]["done"], shown[0]["purchases"], shown[0]["mislabelled"]) == (False, None, None)


@pytest.mark.parametrize("episode_id", [DEMONSTRATION, "an-agent"])
@pytest.mark.parametrize("task_id", PINNED)
def test_after_the_end_everything_is_shown(task_id: str, episode_id: str) -> None:
    answers, pools = timeout(task_id, SEEDS[0], episode_id, SCRIPT)
    shown, wrong = json.loads(answers[-1]), pools[0].mislabelled
    infos = [json.loads(frame)["data"]["info"] for frame in answers[2::2]]
    assert shown["done"]
    assert shown["mislabelled"] == np.flatnonzero(wrong).tolist()
    assert len(shown["mislabelled"]) == round(TASKS[task_id].flip_y * len(wrong))
    assert [len(step["samples"]) for step in shown["purchases"]] == [info["batch_size"] for info in infos]
    assert [len(step["mislabelled"]) for step in shown["purchases"]] == [info["mislabelled"] for info in infos]
    for step in shown["purchases"]:
        assert step["mislabelled"] == [sample for sample in step["samples"] if wrong[sample]]


def test_it_shows_the_samples_that_were_bought() -> None:
    answers, _ = timeout("medium", SEEDS[0], DEMONSTRATION, EVERY_STRATEGY)
    assert bought(answers) == leak.play("medium", SEEDS[0], leak.EVERY_STRATEGY).bought.tolist()
    assert json.loads(answers[-1])["mislabelled"] is None


def test_positions_are_the_two_principal_components_of_the_features() -> None:
    for seed in SEEDS:
        number = dataset_number(seed)
        theirs = PCA(2, svd_solver="full").fit_transform(warm_start(number).dataset.X_pool)
        ours = positions("easy", seed)
        assert ours.shape == theirs.shape
        for axis in (0, 1):
            sign = np.sign(ours[:, axis] @ theirs[:, axis])
            assert np.allclose(ours[:, axis], sign * theirs[:, axis], atol=0.006)


def test_an_answer_is_small_and_smaller_without_points(client: TestClient) -> None:
    client.post("/reset", json={"task_id": "easy", "seed": 3, "episode_id": "big"})
    client.post("/step", json=select(1_000))
    whole = client.get("/pool", params={"episode_id": "big"})
    less = client.get("/pool", params={"episode_id": "big", "points": False})
    assert whole.json()["done"]
    assert len(whole.content) < LARGEST_ANSWER
    assert {**whole.json(), "points": None} == less.json()
    assert len(less.content) < LARGEST_ANSWER / 8


def test_it_refuses_with_a_sentence(client: TestClient) -> None:
    missing = client.get("/pool")
    assert (missing.status_code, missing.json()["field"]) == (422, "episode_id")
    unknown = client.get("/pool", params={"episode_id": "never"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "EPISODE_NOT_FOUND")


def test_what_cannot_be_replayed_is_not_shown(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    client.post("/reset", json={"task_id": "medium", "seed": 3, "episode_id": "old"})
    client.post("/step", json=select(20, random=1))
    client.post("/step", json=stop())
    assert client.get("/pool", params={"episode_id": "old"}).status_code == 200
    with patch("dataselect_env.core.source.make_pool", lambda *arguments: all_right(make_pool(*arguments))):
        other_libraries = client.get("/pool", params={"episode_id": "old"})
    monkeypatch.setattr("dataselect_env.server.replay.DYNAMICS_VERSION", 999)
    other_dynamics = client.get("/pool", params={"episode_id": "old"})
    for answer in (other_libraries, other_dynamics):
        assert (answer.status_code, answer.json()["code"]) == (409, "DYNAMICS_MISMATCH")


def all_right(pool: Pool) -> Pool:
    return replace(pool, mislabelled=np.zeros_like(pool.mislabelled))
