"""What the server counts, read as Prometheus would."""

import re
import sys

import pytest
from fastapi.testclient import TestClient

from dataselect_env import __version__
from dataselect_env.core.errors import StoreUnavailable
from dataselect_env.server.metrics import STEP_SECONDS, Metrics
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.actions import select, stop

SAMPLE = re.compile(r'([a-z_]+)(?:\{([a-z]+)="([^"\\\n]*)"\})? (\S+)')


def read(text: str) -> dict[tuple[str, str], float]:
    """Return the samples of an exposition by name and label value, after checking its form."""
    samples: dict[tuple[str, str], float] = {}
    kinds: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            found = SAMPLE.fullmatch(line)
            assert found, line
            name, _, label, value = found.groups()
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert (name in kinds) != (kinds.get(family) == "histogram"), line
            assert (name, label or "") not in samples
            samples[name, label or ""] = float(value)
    assert text.endswith("\n")
    return samples


def test_an_episode_is_counted_on_both_transports(client: TestClient) -> None:
    client.post("/reset", json={"task_id": "medium"})
    client.post("/step", json=select())
    client.post("/step", json={"action_type": "sell"})
    client.post("/step", json=stop())
    with client.websocket_connect("/ws") as socket:
        socket.send_json({"type": "reset", "data": {"task_id": "hard"}})
        socket.send_json({"type": "buy"})
        for _ in range(2):
            socket.receive_json()
        response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = read(response.text)
    for name, label, value in [
        ("episodes_started_total", "medium", 1),
        ("episodes_started_total", "hard", 1),
        ("episodes_finished_total", "medium", 1),
        ("steps_total", "medium", 2),
        ("step_seconds_count", "", 2),
        ("step_seconds_bucket", "+Inf", 2),
        ("errors_total", "VALIDATION_ERROR", 1),
        ("errors_total", "UNKNOWN_TYPE", 1),
        ("http_responses_total", "200", 3),
        ("http_responses_total", "422", 1),
        ("sessions", "", 1),
        ("sessions_max", "", 256),
        ("live_episodes", "", 1),
        ("store_up", "", 1),
    ]:
        assert samples[f"dataselect_{name}", label] == value, name
    assert samples["dataselect_store_bytes", ""] > 0
    assert samples["dataselect_step_seconds_sum", ""] > 0
    assert ("dataselect_episodes_finished_total", "hard") not in samples


def test_a_store_that_does_not_answer_is_told_and_not_ready(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/ready").json() == {"status": "ready"}

    def fail(_: SQLiteStore) -> int:
        raise StoreUnavailable("The store is gone.")

    monkeypatch.setattr(SQLiteStore, "size", fail)
    monkeypatch.setattr(SQLiteStore, "check", fail)
    samples = read(client.get("/metrics").text)
    assert samples["dataselect_store_up", ""] == 0
    assert ("dataselect_store_bytes", "") not in samples
    response = client.get("/ready")
    assert (response.status_code, response.json()["code"]) == (503, "STORE_UNAVAILABLE")
    assert client.get("/health").status_code == 200


def test_a_step_is_counted_in_every_bucket_above_it() -> None:
    metrics = Metrics()
    for seconds in (0.0, STEP_SECONDS[0], 0.0051, 99.0):
        metrics.count_step("easy", 1, False, seconds)
    samples = read(metrics.text({}).decode())
    below = [samples["dataselect_step_seconds_bucket", str(bound)] for bound in STEP_SECONDS]
    assert below == [2] * 6 + [3] * 6
    assert samples["dataselect_step_seconds_bucket", "+Inf"] == samples["dataselect_step_seconds_count", ""] == 4
    assert samples["dataselect_step_seconds_sum", ""] == pytest.approx(99.0052)


def test_applications_count_for_themselves() -> None:
    first, second = Metrics(), Metrics()
    first.count_response(200)
    assert ("dataselect_http_responses_total", "200") not in read(second.text({}).decode())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_process_is_measured(client: TestClient) -> None:
    samples = read(client.get("/metrics").text)
    assert samples["process_resident_memory_bytes", ""] > 1e7
    assert samples["process_open_fds", ""] > 2
    assert samples["dataselect_build_info", __version__] == 1
