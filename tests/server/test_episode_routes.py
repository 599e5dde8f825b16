"""The routes /episodes: filters, parts, formats, tags and refusals."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from dataselect_env.server.app import create_app
from dataselect_env.server.settings import Settings
from tests.helpers.actions import SCRIPT, select, stop


def start(client: TestClient, episode_id: str, **options: Any) -> None:
    assert client.post("/reset", json={"seed": 3, "episode_id": episode_id, **options}).status_code == 200


def step(client: TestClient, episode_id: str, action: dict[str, Any]) -> None:
    assert client.post("/step", json={**action, "episode_id": episode_id}).status_code == 200


def ids(client: TestClient, **filters: Any) -> list[str]:
    return [one["episode_id"] for one in client.get("/episodes", params=filters).json()["episodes"]]


def test_the_list_is_filtered_and_comes_in_parts(client: TestClient) -> None:
    for place in range(5):
        start(client, f"e{place}", task_id="hard" if place < 2 else "easy", agent="me" if place == 3 else None)
    step(client, "e1", stop())
    with client.websocket_connect("/ws") as socket:
        socket.send_json({"type": "reset", "data": {"episode_id": "other"}})
        socket.receive_json()
    assert ids(client) == ["other", "e4", "e3", "e2", "e1", "e0"]
    assert ids(client, task_id="hard") == ["e1", "e0"]
    assert ids(client, state="finished") == ["e1"]
    assert ids(client, state="running", task_id="hard") == ["e0"]
    assert ids(client, transport="websocket") == ["other"]
    assert ids(client, agent="me") == ["e3"]
    assert ids(client, task_id="none") == []
    first = client.get("/episodes", params={"limit": 4}).json()
    assert [one["episode_id"] for one in first["episodes"]] == ["other", "e4", "e3", "e2"]
    assert ids(client, limit=4, before=first["following"]) == ["e1", "e0"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("limit", 0), ("limit", 101), ("limit", "many"), ("before", 0), ("before", 2**63)),
        *(("state", "over"), ("transport", "pigeon"), ("task_id", "x" * 65)),
    ],
)
def test_filters_that_make_no_sense_are_refused_by_name(client: TestClient, field: str, value: str | int) -> None:
    answer = client.get("/episodes", params={field: value})
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_an_episode_is_followed_by_its_tag(client: TestClient) -> None:
    start(client, "one", task_id="medium")
    seen = []
    tag = ""
    for action in (None, *SCRIPT):
        if action is not None:
            step(client, "one", action)
        answer = client.get("/episodes/one", headers={"If-None-Match": tag})
        assert answer.status_code == 200
        seen.append(len(answer.json()["steps"]))
        tag = answer.headers["etag"]
        again = client.get("/episodes/one", headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert answer.json()["done"]


def test_a_running_episode_shows_nothing_but_its_replies(client: TestClient) -> None:
    start(client, "one", task_id="medium")
    replies = [client.post("/step", json={**action, "episode_id": "one"}).json() for action in SCRIPT[:3]]
    shown = client.get("/episodes/one").json()
    assert not shown["done"]
    told = {name for reply in replies for name in (*reply, *reply["observation"], *reply["info"])}
    shown_names = {name for one in shown["steps"] for name in (*one, *one["observation"], *(one["info"] or ()))}
    assert shown_names - told <= {
        "action",
        "performance",
        "bought",
    }  # what the agent did, and two names of known numbers


@pytest.mark.parametrize("episode_id", ["a/b", "a b?#%", "=1+1", "Grüße 🦊", "trace"])
def test_ids_of_every_kind_are_found(client: TestClient, episode_id: str) -> None:
    start(client, episode_id)
    address = f"/episodes/{quote(episode_id, safe='')}"
    assert client.get(address).json()["episode_id"] == episode_id
    assert json.loads(client.get(f"{address}/trace").text)["episode_id"] == episode_id


def test_a_trace_comes_in_the_format_that_is_asked_for(client: TestClient) -> None:
    start(client, "one")
    step(client, "one", select(20))
    lines, table = "application/x-ndjson", "text/csv; charset=utf-8"
    for params, accept, kind in (
        ({}, "*/*", lines),
        ({}, "text/csv", table),
        ({"format": "csv"}, "*/*", table),
        ({"format": "jsonl"}, "text/csv", lines),
    ):
        answer = client.get("/episodes/one/trace", params=params, headers={"Accept": accept})
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"].startswith("attachment")
        assert len(answer.text.splitlines()) == (2 if kind == lines else 3)
    assert client.get("/episodes/one/trace", params={"format": "xml"}).json()["field"] == "format"


@pytest.mark.parametrize("path", ["/episodes/never", "/episodes/never/trace"])
def test_unknown_episodes_are_not_found(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "EPISODE_NOT_FOUND")


@pytest.mark.parametrize("path", ["/episodes", "/episodes/one", "/episodes/one/trace"])
def test_nothing_is_shown_without_the_token(path: str) -> None:
    with TestClient(create_app(Settings(store="memory:", token="secret"))) as client:  # noqa: S106
        client.post("/reset", json={"episode_id": "one"}, headers={"Authorization": "Bearer secret"})
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"Authorization": "Bearer secret"}).status_code == 200
