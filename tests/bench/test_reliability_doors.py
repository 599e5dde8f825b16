"""bench/reliability/doors: limits hold on the real server, its doors are shut, and what is wrong would be seen."""

import pytest

from bench.reliability import doors
from tests.helpers.serving import running_server

pytestmark = pytest.mark.slow


def test_places_are_freed_and_taken_again() -> None:
    found = doors.Found()
    with running_server(env=doors.settings(max_sessions=doors.PLACES, idle_timeout=doors.IDLE)) as server:
        doors.fill(server, found)
    assert found.problems == []
    assert found.counts["places freed"] == doors.PLACES


def test_every_route_is_shut_and_tells_nothing() -> None:
    found = doors.Found()
    with running_server(env=doors.settings(token=doors.TOKEN)) as server:
        doors.try_routes(server, found)
    assert found.problems == []
    assert found.counts["requests refused"] > 30
    assert found.counts["answers searched"] > found.counts["requests refused"]


def test_an_open_server_would_be_seen() -> None:
    found = doors.Found()
    with running_server() as server:
        doors.try_routes(server, found)
        doors.hurry(server, found)
    assert any(problem.startswith("get /tasks: 200") for problem in found.problems)
    assert any(problem.startswith("/ws is open") for problem in found.problems)
    assert any("were too many" in problem for problem in found.problems)


@pytest.mark.parametrize(
    "text", ['File "/x/y.py", line 3', "sqlite3.OperationalError", "dataselect_env.server.store.sqlite", "app.py"]
)
def test_what_is_from_inside_is_found(text: str) -> None:
    found = doors.Found()
    found.search(f'{{"message": "{text}"}}')
    assert len(found.problems) == 1
    found.search('{"title": "dataselect-env", "code": "STORE_UNAVAILABLE"}')
    assert len(found.problems) == 1
