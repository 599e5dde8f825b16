"""examples/llm_agent.py against a local endpoint that answers with the actions of a policy."""

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

from dataselect_env.core.models import ObservationFields, Reply, StepInfo
from dataselect_env.core.tasks import PINNED, SPLITS, TASKS
from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.policies import get_policy
from dataselect_env.policies.policy import Policy
from dataselect_env.rendering import prompts
from examples import llm_agent
from examples.llm_agent import ATTEMPTS, FALLBACK, main
from tests.helpers.serving import LOOPBACK, Server, free_port, running_server

pytestmark = pytest.mark.slow

FIRST = SPLITS["test"].first_seed
Conversation = list[dict[str, str]]
Answer = Callable[[Conversation], "str | int"]
"""What the endpoint says to a conversation; a number is the status of a failure."""
HANG_UP = "hang up"
"""An answer that is none: the endpoint closes the connection."""
Requests = list[dict[str, Any]]
"""The bodies of the requests for completions, in their order."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@contextmanager
def endpoint(answer: Answer, requests: Requests) -> Iterator[str]:
    """Give the address of an endpoint that answers every conversation, and collects what it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            requests.append(asked)
            said = answer(asked["messages"])
            if said == HANG_UP:
                self.close_connection = True
                return
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
    """Parse a message back into a reply, as far as policies look at it."""
    fields = dict(re.findall(r"^(\w+): (\S+)", text, re.MULTILINE))
    info = None
    if "mislabelled" in fields:
        wrong, size = int(fields["mislabelled"]), int(fields["bought"])
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
        observation=ObservationFields(**{name: json.loads(fields[name]) for name in prompts.OBSERVED}),
        reward=None,
        done=False,
        metadata={"episode_id": "", "task_id": "", "seed": 0, "step": int(fields["step"]), "info": info},
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


def run(server: Server, answer: Answer, transcript: Path, *options: str, requests: Requests | None = None) -> Result:
    with endpoint(answer, [] if requests is None else requests) as base_url:
        return run_at(base_url, server, transcript, *options)


def run_at(base_url: str, server: Server, transcript: Path, *options: str) -> Result:
    environ = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "none", "MODEL_NAME": "fake", "NO_PROXY": LOOPBACK}
    arguments = ["--url", server.base_url, "--transcript", str(transcript), *options]
    return CliRunner(env=environ).invoke(main, arguments)


def events(transcript: Path, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in transcript.read_text(encoding="utf-8").splitlines()]
    return [event for event in found if event["event"] == kind]


@pytest.mark.parametrize("policy", ["probing", "best-constant"])
def test_a_model_that_plays_a_policy_reaches_its_figures(server: Server, tmp_path: Path, policy: str) -> None:
    transcript = tmp_path / "transcript.jsonl"
    result = run(server, playing(policy), transcript, "--seeds", "2", "--tasks", ",".join(PINNED))
    assert result.exit_code == 0, result.output
    records = evaluate(Plan(policies=(policy,), tasks=PINNED, seeds=(FIRST, FIRST + 1)))
    grades = events(transcript, "grade")
    assert [(one["task_id"], one["seed"]) for one in grades] == [(one.task_id, one.seed) for one in records]
    assert [(one["score"], one["return"]) for one in grades] == [(one.score, one.episode_return) for one in records]
    assert not events(transcript, "fallback")
    for task_id in PINNED:
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
    assert f"hard {FIRST}: score {record.score:.3f}, {steps} of {steps} steps by {FALLBACK}\n" in result.output
    assert re.search(rf"^hard +1  {record.score:.3f} .* {steps} of {steps} steps$", result.output, re.MULTILINE)
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


def test_a_model_that_answers_is_credited_with_its_steps(server: Server, tmp_path: Path) -> None:
    result = run(server, lambda _: '{"action_type": "stop"}', tmp_path / "transcript.jsonl", "--seeds", "1")
    assert len(re.findall(rf", 0 of 1 steps by {FALLBACK}$", result.output, re.MULTILINE)) == len(TASKS)


def test_an_endpoint_that_is_not_there_ends_the_run_before_the_first_episode(server: Server, tmp_path: Path) -> None:
    result = run_at(f"http://{LOOPBACK}:{free_port()}/v1", server, tmp_path / "transcript.jsonl")
    assert result.exit_code == 1
    assert re.fullmatch(r"Error: The endpoint at http://\S+ cannot be reached: .*\n", result.output)
    assert not (tmp_path / "transcript.jsonl").read_text(encoding="utf-8")


def test_an_endpoint_that_goes_away_ends_the_run(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llm_agent, "RETRIES", 0)
    requests: Requests = []
    result = run(server, lambda _: HANG_UP if requests[1:] else "{}", tmp_path / "transcript.jsonl", requests=requests)
    assert result.exit_code == 1
    assert "cannot be reached" in result.output
    assert not events(tmp_path / "transcript.jsonl", "fallback")


def test_sampling_parameters_are_sent_only_where_they_are_given(server: Server, tmp_path: Path) -> None:
    plain: Requests = []
    given: Requests = []
    stop, options = '{"action_type": "stop"}', ("--seeds", "1", "--tasks", "easy")
    run(server, lambda _: stop, tmp_path / "transcript.jsonl", *options, requests=plain)
    limits = ("--temperature", "0.5", "--max-tokens", "99")
    run(server, lambda _: stop, tmp_path / "transcript.jsonl", *options, *limits, requests=given)
    assert [set(request) for request in plain] == [{"model", "messages"}]
    assert [(request["temperature"], request["max_tokens"]) for request in given] == [(0.5, 99)]


def test_a_transcript_that_cannot_be_written_ends_the_run_with_a_sentence(server: Server, tmp_path: Path) -> None:
    result = run(server, lambda _: "{}", tmp_path / "missing" / "transcript.jsonl")
    assert result.exit_code == 2
    assert "transcript.jsonl" in result.output
    assert "Traceback" not in result.output
