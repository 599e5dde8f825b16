from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from dataselect_env.server.app import create_app
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.sqlite import SQLiteStore


@pytest.fixture
def store() -> Iterator[SQLiteStore]:
    store = SQLiteStore(None)
    yield store
    store.close()


@pytest.fixture
def client() -> Iterator[TestClient]:
    """An application of its own, with an empty store, spoken to over ASGI."""
    with TestClient(create_app(Settings(store="memory:"))) as client:
        yield client
