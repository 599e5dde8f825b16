"""bench/reliability/hostile: generated requests and hostile frames, some of each, are answered as they should be."""

import json
import random
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from bench.reliability import frames, generated, hostile
from tests.helpers.serving import Server, running_server

pytestmark = pytest.mark.slow

REFUSAL = {"code": "INVALID_JSON", "message": "This is not JSON.", "field": None}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server
        assert "Traceback" not in server.log.replace("Invalid UTF-8 sequence received from client.\nTraceback", "")


def test_generated_requests_are_answered_as_documented(server: Server) -> None:
    pytest.importorskip("schemathesis")
    tally = generated.Tally()
    phases = ("examples", "fuzzing", "stateful")  # the one left out takes longest
    for scenario in generated.scenarios(server, seed=2, examples=2, phases=phases):
        tally.add(scenario)
    assert tally.problems == []
    assert set(tally.phases) == set(phases)
    assert tally.statuses[200] > 20


def test_hostile_frames_are_refused_and_cost_nothing(server: Server) -> None:
    found = hostile.disturb_sockets(server, 300, seed=2, advance=None)
    assert found["problems"] == []
    assert found["counts"]["hostile frames"] == 300
    assert found["counts"]["honest messages"] > 20
    assert {"INVALID_JSON", "VALIDATION_ERROR", "UNKNOWN_TYPE"} <= set(found["counts"])


def test_hostile_bodies_to_mcp_are_answered(server: Server) -> None:
    found = hostile.disturb_mcp(server, 150, seed=2, advance=None)
    assert found["problems"] == []
    assert set(found["statuses"]) == {"200", "202"}


def test_what_may_end_a_connection_ends_it_properly(server: Server) -> None:
    assert hostile.end_connections(server)["problems"] == []


# --- what is wrong would be seen ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        {"type": "observation", "data": {}},
        {"type": "error", "data": {"code": "INVALID_JSON", "message": ""}},
        {"type": "error", "data": {**REFUSAL, "code": "INTERNAL_ERROR"}},
        {"type": "error", "data": {**REFUSAL, "trace": ""}},
        {"type": "error", "data": None},
    ],
)
def test_what_is_no_refusal(answer: dict[str, Any]) -> None:
    assert hostile.is_refusal({"type": "error", "data": REFUSAL})
    assert not hostile.is_refusal(answer)


def test_what_is_no_answer_of_json_rpc() -> None:
    answer = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "A request should be an object."}}
    assert hostile.is_rpc_answer(answer)
    assert not hostile.is_rpc_answer({**answer, "result": {}})
    assert not hostile.is_rpc_answer({"jsonrpc": "2.0", "error": {}})


def test_a_tally_tells_what_went_wrong() -> None:
    def scenario(status: int | None, outcome: str = "success") -> dict[str, Any]:
        answer = None if status is None else {"status_code": status}
        interaction = {"request": {"uri": "http://127.0.0.1/grader"}, "response": answer}
        check = {"name": "status_code_conformance", "status": outcome}
        recorder = {"label": "POST /grader", "interactions": {"a": interaction}, "checks": {"a": [check]}}
        return {"phase": "fuzzing", "recorder": recorder}

    tally = generated.Tally()
    tally.add(scenario(200))
    tally.add({"phase": "examples", "recorder": {"label": "POST /grader"}})
    assert (tally.problems, tally.graded) == ([], 1)
    for wrong in (scenario(503), scenario(None), scenario(200, "failure")):
        tally.add(wrong)
    assert [line.split(": ")[1] for line in tally.problems] == ["status 503", "status 0", "status_code_conformance"]


def test_the_same_seed_draws_the_same_frames_of_every_kind() -> None:
    one, again = (random.Random(3) for _ in range(2))
    assert [frames.hostile(one) for _ in range(50)] == [frames.hostile(again) for _ in range(50)]
    for kind in frames.KINDS:
        largest = max(
            len(frame.encode() if isinstance(frame, str) else frame) for frame in (kind(one) for _ in range(50))
        )
        assert largest <= 262_144, kind.__name__


@pytest.mark.parametrize(("action", "problems"), [("stop", 0), ("select_batch", 1)])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_short_stop_may_be_accepted_and_other_short_actions_not(action: str, problems: int, *, wrapped: bool) -> None:
    body: dict[str, Any] = {"action_type": action}
    text = json.dumps({"action": body} if wrapped else body).encode()
    request = {"uri": "http://x/step", "body": {"$base64": b64encode(text).decode()}}
    check = {"name": "negative_data_rejection", "status": "failure"}
    recorder = {
        "label": "POST /step",
        "interactions": {"a": {"request": request, "response": {"status_code": 200}}},
        "checks": {"a": [check]},
    }
    tally = generated.Tally()
    tally.add({"phase": "fuzzing", "recorder": recorder})
    assert len(tally.problems) == problems
