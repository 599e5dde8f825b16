"""The places of connected clients."""

import pytest
from fastapi.testclient import TestClient

from dataselect_env.core.errors import CapacityReached
from dataselect_env.server.app import create_app
from dataselect_env.server.sessions import Sessions
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.sqlite import SQLiteStore


def test_capacity_counts_connections(store: SQLiteStore) -> None:
    sessions = Sessions(store, 2)
    first, second = sessions.open("websocket"), sessions.open("mcp")
    with pytest.raises(CapacityReached, match="2"):
        sessions.open("websocket")
    sessions.close(first)
    sessions.close(first)  # frees nothing more
    assert len(sessions) == 1
    sessions.close(second)
    assert len(sessions) == 0


def test_a_session_closed_under_its_connection_frees_its_place_for_good() -> None:
    with TestClient(create_app(Settings(store="memory:", max_sessions=1))) as client:
        for _ in range(3):
            request = {"jsonrpc": "2.0", "id": 1, "method": "openenv/session/create"}
            session_id = client.post("/mcp", json=request).json()["result"]["session_id"]
            with client.websocket_connect(f"/ws?session_id={session_id}"):
                assert client.delete("/mcp", headers={"mcp-session-id": session_id}).status_code == 204
        assert client.get("/health").json()["active_sessions"] == 0
