"""The routes /boards and /leaderboard: boards, parts, exports, attempts and refusals."""

from __future__ import annotations

import csv
import io
import json
from asyncio import run
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dataselect_env.core.tasks import DYNAMICS_VERSION, SEALED, SPLITS
from dataselect_env.server.app import create_app
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.boards import Board
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.boarding import fill

pytest.importorskip("cryptography")
SECRET, OLD_KEY = "s" * 32, "0123456789abcdef"
SCORES: dict[str, list[float | None]] = {
    "a": [0.9, 0.8, 0.7],
    "b": [0.1, 0.3, 0.2],
    "c": [0.1, 0.3, 0.2],
    "d": [1.0, None],
}


@pytest.fixture
def sealed(store: SQLiteStore) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store="memory:", secret=SECRET, sealed_size=3), store)) as client:
        yield client


def current(client: TestClient) -> Board:
    key_id = client.get("/keys").json()["keys"][0]["key_id"]
    return Board("medium", SEALED, key_id, DYNAMICS_VERSION, None)


def board_of(client: TestClient, **params: Any) -> Any:
    answer = client.get("/leaderboard", params={"task": "medium", **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_board_of_the_current_key(sealed: TestClient, store: SQLiteStore) -> None:
    run(fill(store, current(sealed), SCORES))
    board = board_of(sealed)
    assert [(row["agent"], row["rank"]) for row in board["rows"]] == [("a", 1), ("b", 2), ("c", 2), ("d", None)]
    assert (board["split"], board["size"], board["ranked"], board["warning"]) == ("sealed", 3, 3, None)
    assert [row["next"] and row["next"]["significant"] for row in board["rows"]] == [False, False, None, None]
    part = board_of(sealed, offset=1, limit=2)
    assert part["rows"] == board["rows"][1:3]
    assert part["following"] == 3
    assert board_of(sealed, offset=100)["rows"] == []


def test_boards_of_another_key_and_of_the_open_split(sealed: TestClient, store: SQLiteStore) -> None:
    old = Board("medium", SEALED, OLD_KEY, DYNAMICS_VERSION - 1, None)
    run(fill(store, old, {"a": [0.5]}))
    run(fill(store, Board("medium", "test", None, DYNAMICS_VERSION, None), {"z": [0.5]}, SPLITS["test"].first_seed))
    assert board_of(sealed, key=OLD_KEY)["rows"] == []
    assert board_of(sealed, key=OLD_KEY, version=DYNAMICS_VERSION - 1)["rows"][0]["agent"] == "a"
    opened = board_of(sealed, split="test")
    assert opened["rows"][0]["agent"] == "z"
    assert "can be looked up" in opened["warning"]
    listed = sealed.get("/boards").json()["boards"]
    assert [(one["split"], one["key_id"], one["episodes"]) for one in listed] == [
        ("sealed", OLD_KEY, 1),
        ("test", None, 1),
    ]


def test_an_episode_that_is_played_counts(sealed: TestClient) -> None:
    for index in range(3):
        reset = {"task_id": "medium", "split": "sealed", "agent": "me", "index": index}
        episode_id = sealed.post("/reset", json=reset).json()["episode_id"]
        assert board_of(sealed)["episodes"] == index
        reply = sealed.post("/step", json={"action_type": "stop", "batch_size": 0, "episode_id": episode_id}).json()
        (row,) = board_of(sealed)["rows"]
        assert round(reply["info"]["grade"]["score"], 3) in row["scores"]
        assert (row["rank"], row["episodes"]) == (1 if index == 2 else None, index + 1)


def test_exports_have_what_the_board_has(sealed: TestClient, store: SQLiteStore) -> None:
    run(fill(store, current(sealed), SCORES))
    board = board_of(sealed)
    answer = sealed.get("/leaderboard", params={"task": "medium", "format": "jsonl"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == board["rows"]
    answer = sealed.get("/leaderboard", params={"task": "medium", "format": "csv", "limit": 1})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="leaderboard.csv"'
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(one["agent"], one["rank"], float(one["mean"])) for one in table] == [
        (row["agent"], str(row["rank"] or ""), row["mean"]) for row in board["rows"]
    ]
    assert [one["next_agent"] for one in table] == ["b", "c", "", ""]
    empty = sealed.get("/leaderboard", params={"task": "hard", "format": "csv"})
    assert (empty.status_code, len(empty.text.splitlines())) == (200, 1)


def test_attempts_of_an_agent(client: TestClient) -> None:
    first = SPLITS["test"].first_seed
    for seed, is_finished in ((first, True), (first + 1, False)):
        client.post("/reset", json={"task_id": "medium", "seed": seed, "agent": "me", "episode_id": f"e-{seed}"})
        if is_finished:
            grade = client.post("/step", json={"action_type": "stop", "batch_size": 0}).json()["info"]["grade"]
    shown = client.get("/leaderboard/me", params={"task": "medium"}).json()
    finished, running = shown["attempts"]
    assert (finished["place"], finished["state"], finished["episode_id"]) == (first, "finished", f"e-{first}")
    assert (finished["score"], finished["passed"]) == (pytest.approx(grade["score"], abs=1e-6), grade["passed"])
    assert (running["place"], running["state"], running["score"], running["passed"]) == (
        first + 1,
        "running",
        None,
        None,
    )
    part = client.get("/leaderboard/me", params={"task": "medium", "limit": 1}).json()
    assert (len(part["attempts"]), part["following"]) == (1, 1)
    rest = client.get("/leaderboard/me", params={"task": "medium", "limit": 1, "offset": 1}).json()
    assert (rest["attempts"], rest["following"]) == ([running], None)
    assert client.get("/leaderboard/nobody", params={"task": "medium"}).json()["attempts"] == []


def test_a_sealed_board_shows_no_score_by_index_and_no_id(sealed: TestClient, store: SQLiteStore) -> None:
    """Who knows the id of a sealed episode can ask for its actions, and play them at the same index."""
    run(fill(store, current(sealed), {"a": [0.9, 0.1, 0.5], "b": [0.5, 0.9, 0.1], "c": [0.5, None]}))
    rows = {row["agent"]: row["scores"] for row in board_of(sealed)["rows"]}
    assert rows == {"a": [0.1, 0.5, 0.9], "b": [0.1, 0.5, 0.9], "c": [0.5]}
    shown = sealed.get("/leaderboard/c", params={"task": "medium"}).json()["attempts"]
    assert [(one["place"], one["state"]) for one in shown] == [(0, "finished"), (1, "running")]
    assert [(one["score"], one["passed"], one["episode_id"]) for one in shown] == [(None, None, None)] * 2


@pytest.mark.parametrize(
    ("path", "params", "status", "field"),
    [
        ("/leaderboard", {"task": "brutal"}, 404, "task"),
        ("/leaderboard", {"split": "sealed"}, 404, "split"),
        ("/leaderboard", {"split": "train"}, 422, "split"),
        ("/leaderboard", {"split": "test", "key": OLD_KEY}, 422, "key"),
        ("/leaderboard", {"key": "K"}, 422, "key"),
        ("/leaderboard", {"version": 0}, 422, "version"),
        ("/leaderboard", {"digest": "../x"}, 422, "digest"),
        ("/leaderboard", {"limit": 0}, 422, "limit"),
        ("/leaderboard", {"limit": 101}, 422, "limit"),
        ("/leaderboard", {"offset": -1}, 422, "offset"),
        ("/leaderboard", {"offset": 10**12}, 422, "offset"),
        ("/leaderboard", {"format": "xml"}, 422, "format"),
        ("/leaderboard/a b", {}, 422, "agent"),
        ("/leaderboard/" + "x" * 65, {}, 422, "agent"),
        ("/leaderboard/a", {"limit": 1_001}, 422, "limit"),
    ],
)
def test_requests_that_make_no_sense(
    client: TestClient, path: str, params: dict[str, Any], status: int, field: str
) -> None:
    answer = client.get(path, params=params)
    assert (answer.status_code, answer.json()["field"]) == (status, field)


@pytest.mark.parametrize("path", ["/boards", "/leaderboard", "/leaderboard?format=csv", "/leaderboard/a"])
def test_nothing_is_shown_without_the_token(path: str) -> None:
    with TestClient(create_app(Settings(store="memory:", token="secret"))) as client:  # noqa: S106
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"Authorization": "Bearer secret"}).status_code == 200


@pytest.mark.parametrize("path", ["/boards", "/leaderboard", "/leaderboard?format=csv", "/leaderboard/a"])
def test_a_store_that_is_gone_is_an_error_and_not_an_empty_board(
    client: TestClient, path: str, store: SQLiteStore
) -> None:
    with TestClient(create_app(Settings(store="memory:"), store)) as other:
        run(store.close())
        answer = other.get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, "STORE_UNAVAILABLE")
