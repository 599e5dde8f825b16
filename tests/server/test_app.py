import asyncio
from contextlib import closing
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from dataselect_env import __version__
from dataselect_env.server.app import create_app, main
from dataselect_env.server.parsers import HTTPParser
from dataselect_env.server.process import options
from dataselect_env.server.settings import Settings

TASK_ROUTES = ["splits", "tasks", "num_tasks", "task", "task_range"]
ROUTES = {
    *("/reset", "/step", "/state", "/pool", "/tasks", "/grader", "/baseline"),
    *("/boards", "/leaderboard", "/leaderboard/{agent}"),
    *("/episodes", "/episodes/{episode_id}", "/episodes/{episode_id}/trace"),
    *("/health", "/ready", "/metrics", "/metadata", "/schema", "/keys", "/mcp", "/list_environments"),
    *(f"/{{env_name}}/{name}" for name in TASK_ROUTES),
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(store="memory:")).openapi()


def test_every_route_is_documented(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == ROUTES
    assert document["info"]["version"] == __version__ == "1.0.0"
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["description"], path
            assert "500" in operation["responses"] or path in ("/list_environments", "/mcp"), path


def test_an_application_works_where_nobody_tells_it_of_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASELECT_STORE", "memory:")
    app: FastAPI = create_app()
    assert TestClient(app).get("/health").status_code == 200
    asyncio.run(app.state.get_service().close())


def test_expired_episodes_leave_also_when_the_application_is_mounted_in_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Starlette sends lifespan events to the outer application alone."""
    app, parent = create_app(Settings(store="memory:", episode_lifetime=1e-6)), FastAPI()
    parent.mount("/env", app)
    monkeypatch.setattr("dataselect_env.server.service.PRUNE_INTERVAL", 0.01)
    with TestClient(parent) as client:
        client.post("/env/reset", json={"episode_id": "old"})
        for _ in range(1_000):
            if client.post("/env/grader", json={"episode_id": "old"}).status_code == 404:
                break
        else:
            pytest.fail("the episode stays")
    asyncio.run(app.state.get_service().close())


def test_applications_share_nothing() -> None:
    with (
        TestClient(create_app(Settings(store="memory:"))) as first,
        TestClient(create_app(Settings(store="memory:"))) as second,
    ):
        first.post("/reset", json={"episode_id": "mine"})
        assert second.get("/state").json()["code"] == "NO_EPISODE"
        assert second.post("/reset", json={"episode_id": "mine"}).status_code == 200


@pytest.mark.parametrize(("variable", "value"), [("PORT", "http"), ("DATASELECT_STORE", "redis://nowhere")])
def test_a_setting_that_cannot_be_used_ends_the_start_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match=f"error: {variable}: "):
        main()


def test_the_fast_event_loop_and_parser_are_used_where_they_are_installed() -> None:
    uvloop, httptools = pytest.importorskip("uvloop"), pytest.importorskip("uvicorn.protocols.http.httptools_impl")
    settings = Settings(store="memory:")
    config = uvicorn.Config(create_app(settings), **{**options(settings), "log_config": None})
    assert issubclass(HTTPParser, httptools.HttpToolsProtocol)
    factory = config.get_loop_factory()
    assert factory is not None
    with closing(factory()) as loop:
        assert isinstance(loop, uvloop.Loop)
