"""Rollouts of openenv's own harness: what it collects, and that the reward of an episode is that of the episode."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openenv.core.harness import HarnessRunLimits, MCPHarnessAdapter, ModelStepResult, build_harness_rollout_func
from openenv.core.harness.collect import CollectRunner, RolloutSerializer
from openenv.core.llm_client import LLMResponse, ToolCall

from dataselect_env.core.errors import InvalidInput
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.integrations.openenv_client import ServerError
from dataselect_env.integrations.openenv_harness import DataSelectSessionFactory
from dataselect_env.policies import get_policy
from tests.helpers.serving import Server, running_server

pytestmark = pytest.mark.slow

BATCH = {"batch_size": 13, "diversity": 1}
"""What the policy best-constant plays on the task hard."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


def calling(*calls: tuple[str, dict[str, Any]]) -> Any:
    """Return a model that makes these calls one after the other, the last one for ever."""

    def model_step(messages: list[dict[str, Any]], *_: object) -> ModelStepResult:
        number = sum(message["role"] == "assistant" for message in messages)
        name, arguments = calls[min(number, len(calls) - 1)]
        return ModelStepResult(LLMResponse(content="", tool_calls=[ToolCall(f"call-{number}", name, arguments)]))

    return model_step


def collect(factory: DataSelectSessionFactory, folder: Path, model_step: Any, **options: Any) -> list[dict[str, Any]]:
    tasks = [{"task_id": "hard", "seed": seed} for seed in (20_000, 20_001)]
    runner = CollectRunner(
        session_factory=factory,
        harness_adapter=MCPHarnessAdapter(),
        serializer=RolloutSerializer(folder),
        tasks=tasks,
        limits=HarnessRunLimits(**{"max_turns": 20, **options}),
    )
    done = runner.run(model_step=model_step, num_episodes=len(tasks))
    assert (done.num_collected, done.num_failed) == (len(tasks), 0)
    return [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_collected_reward_is_the_grade(server: Server, tmp_path: Path) -> None:
    factory = DataSelectSessionFactory(server.base_url)
    records = collect(factory, tmp_path / "first", calling(("select_batch", BATCH)))
    for record in records:
        played = rollout(get_policy("best-constant"), "hard", record["task"]["seed"])
        assert record["reward"] == pytest.approx(played.grade.score, abs=1e-12)
        assert record["verify_metrics"]["score"] == played.grade.score
        assert record["done"]
    collect(factory, tmp_path / "again", calling(("stop", {})))  # the same collector's ids, on the same server


def test_a_rollout_that_is_cut_short_is_paid_for_what_it_reached(server: Server, tmp_path: Path) -> None:
    factory = DataSelectSessionFactory(server.base_url, reward_mode="shaped")
    records = collect(factory, tmp_path, calling(("select_batch", BATCH)), max_turns=3)
    for record in records:
        played = rollout(get_policy("best-constant"), "hard", record["task"]["seed"])
        assert record["reward"] == pytest.approx(sum(reply.reward or 0.0 for reply in played.replies[:4]))
        assert not record["done"]


def test_what_an_agent_does_wrong_is_told_to_it(server: Server, tmp_path: Path) -> None:
    wrong = [("select_batch", {"batch_size": -1, "random": 1}), ("reset", {}), ("select_batch", {"size": 3})]
    for record in collect(DataSelectSessionFactory(server.base_url), tmp_path, calling(*wrong, ("stop", {}))):
        told = [message["content"] for message in record["messages"] if message["role"] == "tool"]
        assert told[0].startswith("batch_size: Input should be greater than or equal to 0")
        assert "select_batch and stop" in told[1]
        assert "unknown field" in told[2]
        assert "The episode is over: stop." in told[3]


def test_a_prompt_names_its_task(server: Server) -> None:
    play = build_harness_rollout_func(
        session_factory=DataSelectSessionFactory(server.base_url),
        harness_adapter=MCPHarnessAdapter(),
        model_step_builder=lambda *_: calling(("stop", {})),
    )
    played = play(["hard", {"split": "test", "index": 2}], None)
    named, chosen = played["verify_metrics"]
    assert (named["task_id"], chosen["task_id"], chosen["seed"]) == ("hard", "hard", 20_000)
    # The server draws the seed of the first, and not every seed set is worth nothing.
    assert played["env_reward"] == pytest.approx([named["score"], chosen["score"]], abs=1e-12)


def test_choices_that_make_no_sense_are_refused(server: Server) -> None:
    factory = DataSelectSessionFactory(server.base_url)
    with pytest.raises(InvalidInput, match="name of a task or a mapping"):
        factory.create(task=5)
    with pytest.raises(InvalidInput, match="sead: unknown field"):
        factory.create(task={"sead": 1})
    with pytest.raises(ServerError, match="choose one of easy, medium, hard"):
        factory.create(task="impossible")


def test_a_task_that_is_not_known_here_is_refused_and_its_connection_closed(tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text("tasks: {theirs: {table: {bundled: wine}, budget: 40}}", encoding="utf-8")
    env = {"DATASELECT_TASKS": "tasks.yaml", "DATASELECT_MAX_SESSIONS": "1"}
    with running_server(cwd=tmp_path, env=env) as server:
        factory = DataSelectSessionFactory(server.base_url)
        with pytest.raises(InvalidInput, match="theirs is not registered in this process; load its task file first"):
            factory.create("theirs")
        for _ in range(200):
            try:
                factory.create("easy").close()
                break
            except ServerError:  # at capacity: the server frees the session a moment later
                time.sleep(0.05)
        else:
            pytest.fail("the connection was left open")


def test_the_agent_sees_the_rules_and_two_tools(server: Server) -> None:
    session = DataSelectSessionFactory(server.base_url).create("medium", seed=1)
    try:
        system, user = session.initial_messages()
        assert "Task medium" in system["content"]
        assert user["content"].startswith("step: 0 of")
        assert [tool.name for tool in session.list_tools()] == ["select_batch", "stop"]
        assert "episode_id" not in session.list_tools()[0].input_schema["properties"]
    finally:
        session.close()
