"""The example of a language model's agent, with a local endpoint that plays a policy from what it is told."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dataselect_env.core.models import ObservationFields, Reply, ReplyMetadata, StepInfo
from dataselect_env.core.tasks import SPLITS, TASKS
from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.policies import get_policy
from dataselect_env.policies.policy import Policy
from dataselect_env.rendering import prompts
from examples.llm_agent import ATTEMPTS, FALLBACK, main
from tests.helpers.serving import LOOPBACK, Server, running_server

pytestmark = pytest.mark.slow

FIRST = SPLITS["test"].first_seed
Conversation = list[dict[str, str]]
Answer = Callable[[Conversation], "str | int"]
"""What the endpoint says to a conversation; a number is the status of a failure."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@contextmanager
def endpoint(answer: Answer) -> Iterator[str]:
    """Give the address of an endpoint that answers every conversation."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            said = answer(asked["messages"])
            message = {"role": "assistant", "content": said}
            body: dict[str, Any] = {"id": "1", "object": "chat.completion", "created": 0, "model": asked["model"]}
            body["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
            self.send_response(said if isinstance(said, int) else 200)
            self.send_header("content-type", "application/json")
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{http.server_port}/v1"
        finally:
            http.shutdown()
            thread.join()


def understood(text: str) -> Reply:
    """Return the reply that a message tells, as far as policies look at it."""
    told = dict(re.findall(r"^(\w+): (\S+)", text, re.MULTILINE))
    info = None
    if "mislabelled" in told:
        wrong, size = int(told["mislabelled"]), int(told["bought"])
        info = StepInfo(
            reward_terms={},
            batch_size=size,
            bought_by={},
            mislabelled=wrong,
            noise_ratio=wrong / size,
            redundancy=None,
            gain=None,
            end_reason=None,
            grade=None,
        )
    return Reply.build(
        observation=ObservationFields(**{name: json.loads(told[name]) for name in prompts.OBSERVED}),
        reward=None,
        done=False,
        metadata=ReplyMetadata(episode_id="", task_id="", seed=0, step=int(told["step"]), info=info),
    )


def playing(name: str) -> Answer:
    """Return an endpoint's answers that are a policy's actions, from nothing but the conversation."""
    policy = get_policy(name)
    assert isinstance(policy, Policy)

    def answer(conversation: Conversation) -> str:
        found = re.search(r"^Task (\w+):", conversation[0]["content"], re.MULTILINE)
        assert found is not None
        act = policy.start(TASKS[found[1]], np.random.default_rng(0))
        actions = [act(understood(said["content"])) for said in conversation if said["role"] == "user"]
        return f"```json\n{json.dumps(actions[-1].model_dump(exclude={'metadata'}))}\n```"

    return answer


def run(server: Server, answer: Answer, transcript: Path, *options: str) -> Result:
    with endpoint(answer) as base_url:
        environ = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "none", "MODEL_NAME": "fake", "NO_PROXY": LOOPBACK}
        arguments = ["--url", server.base_url, "--transcript", str(transcript), *options]
        return CliRunner(env=environ).invoke(main, arguments)


def events(transcript: Path, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in transcript.read_text(encoding="utf-8").splitlines()]
    return [event for event in found if event["event"] == kind]


@pytest.mark.parametrize("policy", ["probing", "best-constant"])
def test_a_model_that_plays_a_policy_reaches_its_figures(server: Server, tmp_path: Path, policy: str) -> None:
    transcript = tmp_path / "transcript.jsonl"
    result = run(server, playing(policy), transcript, "--seeds", "2")
    assert result.exit_code == 0, result.output
    records = evaluate(Plan(policies=(policy,), tasks=tuple(TASKS), seeds=(FIRST, FIRST + 1)))
    grades = events(transcript, "grade")
    assert [(one["task_id"], one["seed"]) for one in grades] == [(one.task_id, one.seed) for one in records]
    assert [(one["score"], one["return"]) for one in grades] == [(one.score, one.episode_return) for one in records]
    assert not events(transcript, "fallback")
    for task_id in TASKS:
        mean = sum(one.score for one in records if one.task_id == task_id) / 2
        assert re.search(rf"^{task_id} +2  {mean:.3f}", result.output, re.MULTILINE)


def test_a_model_that_never_answers_leaves_every_step_to_the_fallback(server: Server, tmp_path: Path) -> None:
    transcript = tmp_path / "transcript.jsonl"
    result = run(server, lambda _: "I would rather not.", transcript, "--seeds", "1", "--tasks", "hard")
    assert result.exit_code == 0, result.output
    (record,) = evaluate(Plan(policies=(FALLBACK,), tasks=("hard",), seeds=(FIRST,)))
    assert events(transcript, "grade")[0]["score"] == record.score
    steps = len(record.rewards)
    assert len(events(transcript, "answer")) == ATTEMPTS * steps
    assert f"no usable answer: {steps}" in result.output
    assert all("no action in the answer" in event["problem"] for event in events(transcript, "answer"))


def test_a_model_is_told_what_was_wrong_and_asked_again(server: Server, tmp_path: Path) -> None:
    def answer(conversation: Conversation) -> str | int:
        if len(conversation) == 2:
            return '{"batch_size": -5, "random": 1}'
        assert conversation[-1]["content"].startswith("batch_size: Input should be greater than or equal to 0")
        return 'Sorry. <think>{"batch_size": 9}</think> {"action_type": "stop"}'

    transcript = tmp_path / "transcript.jsonl"
    result = run(server, answer, transcript, "--seeds", "1", "--tasks", "easy")
    assert result.exit_code == 0, result.output
    assert [event["action"] is None for event in events(transcript, "answer")] == [True, False]
    assert not events(transcript, "fallback")


def test_an_endpoint_that_fails_now_and_then_is_asked_again(server: Server, tmp_path: Path) -> None:
    failures = iter([500, 429])
    transcript = tmp_path / "transcript.jsonl"
    result = run(
        server, lambda _: next(failures, '{"action_type": "stop"}'), transcript, "--seeds", "1", "--tasks", "easy"
    )
    assert result.exit_code == 0, result.output
    assert not events(transcript, "fallback")


def test_an_endpoint_that_refuses_ends_the_run_with_a_sentence(server: Server, tmp_path: Path) -> None:
    result = run(server, lambda _: 401, tmp_path / "transcript.jsonl", "--seeds", "1")
    assert result.exit_code == 1
    assert "401" in result.output
    assert "Traceback" not in result.output
