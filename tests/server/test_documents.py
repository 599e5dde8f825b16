"""The OpenAPI document and its console."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from dataselect_env.server import documents


def test_the_console_loads_nothing_from_other_hosts(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "://" not in page
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        response = client.get("/" + address)
        assert response.status_code == 200, address
        assert len(response.content) > 100
    assert "SwaggerUIBundle" in client.get(f"/docs/{documents.SCRIPT}").text
    assert client.get("/docs/other.js").json()["code"] == "NOT_FOUND"
    assert client.get("/redoc").status_code == 404  # its script came from another host


def test_under_a_prefix_the_document_names_the_prefix(make_app: Callable[..., FastAPI]) -> None:
    parent = FastAPI()
    parent.mount("/env", make_app())
    client = TestClient(parent)
    assert client.get("/env/openapi.json").json()["servers"] == [{"url": "/env"}]
    assert client.get("/env/docs").status_code == 200


def test_the_document_is_made_beside_the_loop(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def make(*_: object) -> dict[str, str]:
        names.append(threading.current_thread().name)
        return {"openapi": "3"}

    monkeypatch.setattr("dataselect_env.server.openapi.document", make)
    assert client.get("/openapi.json").json() == {"openapi": "3"}
    assert names[0].startswith("show")
