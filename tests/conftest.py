"""Fixtures for all tests, the profiles of Hypothesis, and what keeps the default run quick."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.helpers import serving

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from dataselect_env.server.store.sqlite import SQLiteStore
    from tests.helpers.postgres import Postgres
    from tests.helpers.store_labs import StoreLab

# Before anything loads numpy: tests run side by side, and threads of linear algebra would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SLOW_MODULE = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.slow\b", re.MULTILINE)

# The default run tries the same few examples each time; --hypothesis-profile=thorough tries many new ones.
settings.register_profile(
    "quick", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("quick"), derandomize=False, max_examples=250)
settings.load_profile("quick")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave slow modules unread where no slow test runs: some import libraries that take seconds to load."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    return bool(SLOW_MODULE.search(collection_path.read_text(encoding="utf-8"))) or None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let slow tests alone start servers."""
    serving.allowed = item.get_closest_marker("slow") is not None


@pytest.fixture
def store() -> Iterator[SQLiteStore]:
    from dataselect_env.server.store.sqlite import SQLiteStore

    store = SQLiteStore(None)
    yield store
    asyncio.run(store.close())


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for the tests of this process."""
    from tests.helpers.postgres import NoPostgres, running_postgres

    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgres())
        except NoPostgres as error:
            pytest.skip(f"no PostgreSQL: {error}")
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty store of each kind that several processes can use."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/episodes.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_url()


@pytest.fixture
def lab(store_url: str) -> Iterator[StoreLab]:
    """A store of each kind, with its tables."""
    from dataselect_env.server.store import open_store
    from tests.helpers.store_labs import StoreLab

    store = open_store(store_url)
    yield StoreLab(store_url, store)
    asyncio.run(store.close())


@pytest.fixture
def make_app() -> Iterator[Callable[..., FastAPI]]:
    """Make applications with an empty store each; it is closed at the end, also where no lifespan event comes."""
    from dataselect_env.server.app import create_app
    from dataselect_env.server.settings import Settings

    made: list[FastAPI] = []

    def make(**settings: Any) -> FastAPI:
        made.append(create_app(Settings(store="memory:", **settings)))
        return made[-1]

    yield make
    for app in made:
        asyncio.run(app.state.get_service().close())


@pytest.fixture
def client() -> Iterator[TestClient]:
    """An application of its own, with an empty store, spoken to over ASGI."""
    from fastapi.testclient import TestClient

    from dataselect_env.server.app import create_app
    from dataselect_env.server.settings import Settings

    with TestClient(create_app(Settings(store="memory:"))) as client:
        yield client
