"""The attacks of bench/sealed win on open splits, find nothing on the sealed one, and are refused a second attempt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from bench.sealed import attacks
from bench.sealed.attack import PROBE, Door, Refused, fingerprint, honest, lookup, play_again
from dataselect_env.core.tasks import SEALED, SPLITS
from dataselect_env.server.app import create_app
from dataselect_env.server.settings import Settings

pytest.importorskip("cryptography")
SEEDS = range(SPLITS["test"].first_seed, SPLITS["test"].first_seed + 3)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store="memory:", secret="s" * 32))) as client:
        yield client


def test_on_an_open_split_an_episode_can_be_rebuilt_and_planned(client: TestClient) -> None:
    cheat, fair = Door(client, "cheat"), Door(client, "fair")
    gains = [lookup(cheat, "hard", seed).score - honest("probing")(fair, "hard", seed).score for seed in SEEDS]
    assert sum(gains) > 0.2


def test_without_the_seed_the_first_observation_gives_it_away(client: TestClient) -> None:
    door = Door(client, "cheat")
    first = door.reset(task_id="medium", seed=SEEDS[1])
    seeds = attacks.seeds_of(attacks.fingerprinted_numbers(first))
    assert 1 <= len(seeds) <= 10
    assert attacks.agreeing_seed("medium", seeds, PROBE, door.step(PROBE)) == SEEDS[1]


@pytest.mark.parametrize("task_id", ["easy", "medium", "hard"])
def test_on_the_sealed_split_nothing_is_found(client: TestClient, task_id: str) -> None:
    door = Door(client, f"cheat-{task_id}")
    for index in range(5):
        door.place = {"split": SEALED, "index": index}
        first = door.reset(task_id=task_id)
        assert attacks.told_seed(first) is None
        assert attacks.fingerprinted_numbers(first) == []


def test_cheats_that_find_nothing_score_as_the_honest_rule(client: TestClient) -> None:
    for index in range(5, 8):
        place = {"split": SEALED, "index": index}
        scores = {
            player(Door(client, name, place), "hard", index).score
            for name, player in (("a", lookup), ("b", fingerprint), ("c", honest("probing")))
        }
        assert len(scores) == 1


def test_an_episode_is_not_played_again(client: TestClient) -> None:
    door = Door(client, "again", {"split": SEALED, "index": 9})
    first = play_again(door, "hard", 9)
    assert first == honest("ppo")(Door(client, "other", door.place), "hard", 9)
    with pytest.raises(Refused, match="ATTEMPT_USED"):
        door.reset(task_id="hard")
