"""Plays with the installed openenv on a running server, and prints a JSON object. Run by ``openenv_versions``."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from openenv.core.generic_client import GenericEnvClient
from openenv.core.harness import HarnessRunLimits, MCPHarnessAdapter, ModelStepResult
from openenv.core.harness.collect import CollectRunner, RolloutSerializer
from openenv.core.llm_client import LLMResponse, ToolCall

from dataselect_env import DataSelectEnv
from dataselect_env.core.models import Reply
from dataselect_env.integrations.openenv_client import Action, DataSelectEnvClient, EpisodeLostError, ServerError
from dataselect_env.integrations.openenv_harness import DataSelectSessionFactory

ACTIONS = (Action.select(5, uncertainty=1), Action.select(20, diversity=0.7, random=0.3), Action.stop())
PACKAGES = ("openenv", "websockets", "pydantic", "fastmcp", "mcp")


DIGITS = 9
"""Decimals that are compared; only one of server and client may use the compiled kernel."""


def expected() -> list[Any]:
    env = DataSelectEnv()
    return [_seen(env.reset(task_id="hard", seed=1)), *(_seen(env.step(action)) for action in ACTIONS)]


def _seen(reply: Reply) -> Any:
    text = reply.model_dump_json(include={"observation", "reward", "done", "info"})
    return json.loads(text, parse_float=lambda digits: round(float(digits), DIGITS))


def plays_sync(url: str) -> bool:
    with DataSelectEnvClient(url).sync() as client:
        results = [client.reset(task_id="hard", seed=1), *(client.step(action) for action in ACTIONS)]
        return [_seen(result.reply) for result in results] == expected() and bool(client.state().done)


def plays_async(url: str) -> bool:
    async def play() -> list[Any]:
        async with DataSelectEnvClient(url) as client:
            results = [await client.reset(task_id="hard", seed=1)]
            for action in ACTIONS:
                results.append(await client.step(action))  # noqa: PERF401  (one after the other)
            return [_seen(result.reply) for result in results]

    return asyncio.run(play()) == expected()


def tells_what_was_wrong(url: str) -> bool:
    with DataSelectEnvClient(url).sync() as client:
        client.reset(seed=1)
        try:
            client.step({**Action.stop().model_dump(), "batch_size": -1})
        except ServerError as error:
            return error.field == "batch_size" and error.code == "VALIDATION_ERROR"
    return False


def notices_a_lost_episode(url: str) -> bool:
    with DataSelectEnvClient(url).sync() as client:
        client.reset(seed=1)
        client.disconnect()
        try:
            client.step(Action.stop())
        except EpisodeLostError:
            return bool(client.reset(seed=2).reply.seed == 2)
    return False


def collects_the_grade(url: str) -> bool:
    def model_step(*_: object) -> ModelStepResult:
        call = ToolCall("call", "select_batch", {"batch_size": 13, "diversity": 1})
        return ModelStepResult(LLMResponse(content="", tool_calls=[call]))

    with tempfile.TemporaryDirectory() as folder:
        serializer = RolloutSerializer(folder)
        runner = CollectRunner(
            session_factory=DataSelectSessionFactory(url),
            harness_adapter=MCPHarnessAdapter(),
            serializer=serializer,
            tasks=[{"task_id": "hard", "seed": 1}],
            limits=HarnessRunLimits(max_turns=20),
        )
        runner.run(model_step=model_step, num_episodes=1)
        record = json.loads((serializer.output_dir / "results.jsonl").read_text(encoding="utf-8"))
    return 0 < record["reward"] < 1 and bool(abs(record["reward"] - record["verify_metrics"]["score"]) < 1e-9)


def the_generic_client_plays(url: str) -> bool:
    with GenericEnvClient(base_url=url).sync() as client:
        client.reset(task_id="hard", seed=1)
        results = [client.step(action.model_dump()) for action in ACTIONS]
        return bool(results[-1].done and client.state()["step_count"] == len(ACTIONS))


CHECKS: tuple[Callable[[str], bool], ...] = (
    plays_sync,
    plays_async,
    tells_what_was_wrong,
    notices_a_lost_episode,
    collects_the_grade,
    the_generic_client_plays,
)


if __name__ == "__main__":
    found = {check.__name__: check(sys.argv[1]) for check in CHECKS}
    print(json.dumps({"checks": found, "with": {name: version(name) for name in PACKAGES}}))
