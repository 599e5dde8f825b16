import asyncio
import json
from typing import Any

from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from dataselect_env.core.tasks import SPLITS, TASKS
from dataselect_env.server import task_api
from dataselect_env.server.catalogue import NAME
from tests.helpers.owning import WINE, forgotten, offered


def ask(client: TestClient, route: str, **body: Any) -> Any:
    response = client.post(f"/{NAME}/{route}", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_environments_and_splits_are_listed(client: TestClient) -> None:
    assert client.get("/list_environments").json() == [NAME]
    for name in (NAME, NAME.lower()):
        splits = client.get(f"/{name}/splits").json()
        assert splits == [{"name": name, "type": name} for name in ("train", "validation", "test")]


def test_counts_lists_ranges_and_single_tasks_agree(client: TestClient) -> None:
    for split in SPLITS:
        count = ask(client, "num_tasks", split=split)["num_tasks"]
        listed = ask(client, "tasks", split=split)
        assert listed["env_name"] == NAME
        assert len(listed["tasks"]) == count
        assert ask(client, "task_range", split=split, start=count - 2)["tasks"] == listed["tasks"][-2:]
        assert ask(client, "task_range", split=split, start=3, stop=6)["tasks"] == listed["tasks"][3:6]
        assert ask(client, "task", split=split, index=5)["task"] == listed["tasks"][5]


def test_a_spec_says_what_a_reset_by_its_split_and_index_plays(client: TestClient) -> None:
    for index in range(len(TASKS)):
        spec = ask(client, "task", split="validation", index=index)["task"]
        assert set(spec) == {"id", "split", "index", "task_id", "seed", "difficulty", "group"}
        reply = client.post("/reset", json={"split": "validation", "index": index}).json()
        assert (reply["task_id"], reply["seed"]) == (spec["task_id"], spec["seed"])
        assert client.get("/state").json()["split"] == "validation"


def test_seeds_and_ids_of_different_splits_are_disjoint(client: TestClient) -> None:
    seeds = [{task["seed"] for task in ask(client, "tasks", split=split)["tasks"]} for split in SPLITS]
    ids = [task["id"] for split in SPLITS for task in ask(client, "tasks", split=split)["tasks"]]
    assert len(set.union(*seeds)) == sum(len(of_split) for of_split in seeds)
    assert len(set(ids)) == len(ids)


def test_a_list_is_made_while_it_is_sent() -> None:
    """So that a client that does not read holds the server to no more than a piece."""

    async def pieces() -> list[bytes]:
        response = await task_api.listed("train", slice(None))
        assert isinstance(response, StreamingResponse)
        return [bytes(piece) async for piece in response.body_iterator]  # type: ignore[arg-type]

    made = asyncio.run(pieces())
    assert max(map(len, made)) < 100_000 < len(b"".join(made))
    assert len(json.loads(b"".join(made))["tasks"]) > 1_000


def test_a_task_that_is_registered_later_is_counted_listed_and_described(client: TestClient) -> None:
    def counts() -> list[int]:
        listed = ask(client, "tasks", split="test")["tasks"], ask(client, "task_range", split="test")["tasks"]
        return [ask(client, "num_tasks", split="test")["num_tasks"], *map(len, listed)]

    before, document = counts(), client.get("/openapi.json").json()
    with forgotten():
        offered("mine", **{**WINE, "strategies": ["margin"]})
        assert counts() == [number + 1_000 for number in before]
        schemas = client.get("/openapi.json").json()["components"]["schemas"].values()
        assert any("margin" in schema.get("properties", {}) for schema in schemas)
    assert counts() == before
    assert client.get("/openapi.json").json() == document
