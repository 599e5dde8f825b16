"""docs/host.md, followed as an operator would: a secret in a file, a registered agent, attempts that outlive kills."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from dataselect_env.core.receipts import Receipt
from tests.helpers.serving import ROOT, Server, clean_environ, running_server

pytest.importorskip("cryptography")
pytestmark = pytest.mark.slow
SECRET, NEXT = "first-" + "s" * 32, "second-" + "t" * 32
RESET = {"task_id": "medium", "split": "sealed", "agent": "my-agent"}
SHOWN_PATHS = ("/health", "/ready", "/metrics", "/metadata", "/schema", "/tasks", "/keys", "/episodes", "/openapi.json")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "secret.txt").write_text(f"{SECRET}\n")
    return {
        "DATASELECT_SECRET_FILE": str(tmp_path / "secret.txt"),
        "DATASELECT_STORE": f"sqlite:///{tmp_path}/benchmark.db",
        "DATASELECT_AGENTS": "registered",
        "DATASELECT_LOG_LEVEL": "debug",
    }


@pytest.fixture
def token(env: dict[str, str]) -> str:
    command = [sys.executable, "-m", "dataselect_env", "agents", "add", "my-agent"]
    done = subprocess.run(
        command, env={**clean_environ(), **env}, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def refusal(server: Server, path: str, data: dict[str, Any]) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.post(path, data)
    return caught.value.code, json.loads(caught.value.read())["code"]


def test_the_page_has_the_commands_that_this_test_runs() -> None:
    text = (ROOT / "docs" / "host.md").read_text(encoding="utf-8")
    for command in ("DATASELECT_SECRET_FILE=", "DATASELECT_STORE=sqlite:///", "dataselect-env agents add my-agent"):
        assert command in text
    sent = json.loads(re.findall(r"-d '(\{.*\})'", text)[0])
    assert sent == {**RESET, "agent_token": "TOKEN"}


def test_a_benchmark_from_the_first_attempt_to_the_next_season(env: dict[str, str], token: str, tmp_path: Path) -> None:
    sent = {**RESET, "agent_token": token}
    with running_server(store=env["DATASELECT_STORE"], env=env) as server:
        assert refusal(server, "/reset", RESET) == (403, "AGENT_REFUSED")
        assert refusal(server, "/reset", {**RESET, "agent": "guest"}) == (403, "AGENT_REFUSED")
        first = server.post("/reset", {**sent, "index": 3})
        assert (first["seed"], first["index"]) == (None, 3)
        server.post("/step", {"episode_id": first["episode_id"], **select(20)})
        assert refusal(server, "/reset", {**sent, "index": 3}) == (409, "ATTEMPT_USED")
        shown = "".join(json.dumps(server.get(path)) if path != "/metrics" else "" for path in SHOWN_PATHS)
        assert first["episode_id"] not in shown
        log = server.log
        server.kill()
    for hidden in (SECRET, token):
        assert hidden not in log + shown
    with running_server(store=env["DATASELECT_STORE"], env=env) as server:
        assert refusal(server, "/reset", {**sent, "index": 3}) == (409, "ATTEMPT_USED")
        last = server.post("/step", {"episode_id": first["episode_id"], "action_type": "stop"})
        graded = server.post("/grader", {"episode_id": first["episode_id"]})
        keys = server.get("/keys")["keys"]
        receipt = Receipt.model_validate(graded["receipt"])
        assert (receipt.index, receipt.agent, receipt.score) == (3, "my-agent", last["info"]["grade"]["score"])
        assert receipt.is_signed_by(keys[0]["public_key"])
        assert receipt.key_id == keys[0]["key_id"]
    (tmp_path / "secret.txt").write_text(f"{NEXT}\n{SECRET}\n")
    with running_server(store=env["DATASELECT_STORE"], env=env) as server:
        assert [key["key_id"] == receipt.key_id for key in server.get("/keys")["keys"]] == [False, True]
        assert server.post("/grader", {"episode_id": first["episode_id"]})["receipt"] == graded["receipt"]
        again = server.post("/reset", {**sent, "index": 3})
        assert again["observation"] != first["observation"]


def select(size: int) -> dict[str, Any]:
    return {"action_type": "select_batch", "batch_size": size, "strategy_weights": {"uncertainty": 1}}
