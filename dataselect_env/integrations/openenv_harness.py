"""Sessions for openenv's rollout harness: ``CollectRunner``, ``build_harness_rollout_func`` and the like.

    from openenv.core.harness import HarnessRunLimits, MCPHarnessAdapter
    from openenv.core.harness.collect import CollectRunner, RolloutSerializer

    runner = CollectRunner(
        session_factory=DataSelectSessionFactory("http://localhost:7860"),
        harness_adapter=MCPHarnessAdapter(),
        serializer=RolloutSerializer("rollouts"),
        tasks=[{"task_id": "hard", "seed": seed} for seed in range(100)],
        limits=HarnessRunLimits(max_turns=20),
    )
    runner.run(model_step=..., num_episodes=100)

The harness takes the last reward of a tool call as the reward of the episode, so tools report the sum of the rewards so
far. In reward mode ``grade``, the default here, that is the grade so far, and at the end the grade.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openenv.core.env_server.mcp_types import Tool
from openenv.core.harness import ResourceSession, ResourceSessionFactory, ToolResult, VerifyResult

from dataselect_env.core.errors import EnvError, InvalidInput, UnknownTask
from dataselect_env.core.models import Action, ResetRequest, RewardMode
from dataselect_env.core.problem import as_described
from dataselect_env.core.tasks import Task, get_task
from dataselect_env.core.validation import parse
from dataselect_env.integrations.openenv_client import (
    DataSelectEnvClient,
    DataSelectResult,
    EpisodeLostError,
    ServerError,
)
from dataselect_env.rendering import prompts
from dataselect_env.server.mcp.tools import TOOLS, BatchArguments, NoArguments

Message = dict[str, Any]


class DataSelectSession(ResourceSession):
    """One episode, started on construction and played by the tools ``select_batch`` and ``stop``.

    An invalid action is reported as the result of the tool call; the episode continues.

    Args:
        client: A client for this session alone; the session closes it.
        choices: Arguments of ``reset``.

    Raises:
        InvalidInput: The server plays a custom task that is not registered in this process.
        ServerError: The server refuses the reset.
        ConnectionError: The server cannot be reached.
    """

    def __init__(self, client: DataSelectEnvClient, choices: Mapping[str, Any]) -> None:
        self._client = client.sync()
        self._total_reward = 0.0
        try:
            self._last: DataSelectResult = self._client.reset(**choices)
            reply = self._last.reply
            self._task = as_described(_registered_task(reply.task_id), reply.problem)
        except BaseException:
            self._client.close()
            raise

    def initial_messages(self) -> list[Message]:
        """Return the rules with the task, and the first observation."""
        return [
            {"role": "system", "content": prompts.instructions(self._task)},
            {"role": "user", "content": self._observation()},
        ]

    def list_tools(self) -> list[Tool]:
        """Return the tools that play an episode; there is none that starts one."""
        manifests = (TOOLS[name].manifest() for name in ("select_batch", "stop"))
        return [_tool(manifest) for manifest in manifests]

    def call_tool(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Play one action and return the observation, with the sum of the rewards so far.

        Raises:
            EpisodeLostError: The connection was lost.
            ConnectionError: The server cannot be reached.
        """
        try:
            action = _action(name, arguments)
            self._last = self._client.step(action)
        except EpisodeLostError:
            raise
        except (EnvError, ServerError) as refusal:
            return ToolResult(data=refusal.message, metadata=self._reward(), error=refusal.message)
        self._total_reward += self._last.reward or 0.0
        return ToolResult(data=self._observation(), done=self._last.done, metadata=self._reward())

    def verify(self, transcript: list[Message], final_state: Any | None = None) -> VerifyResult:  # noqa: ARG002
        """Return the episode's reward, metrics and id."""
        reply, grade = self._last.reply, self._last.grade
        metrics: dict[str, Any] = {"steps": reply.step, "task_id": reply.task_id, "seed": reply.seed}
        if grade is not None:
            metrics |= {"score": grade.score, "passed": grade.passed}
        return VerifyResult(
            env_reward=self._total_reward,
            done=self._last.done,
            metrics=metrics,
            artifacts={"episode_id": reply.episode_id},
        )

    def close(self) -> None:
        """Close the connection; an unfinished episode ends with it."""
        self._client.close()

    def _observation(self) -> str:
        return prompts.render_reply(self._task, self._last.reply)

    def _reward(self) -> dict[str, Any]:
        return {"reward": self._total_reward, "step_reward": self._last.reward}


class DataSelectSessionFactory(ResourceSessionFactory):  # generic only since openenv 0.4.2
    """Creates a session, with its own connection, for each rollout.

    Args:
        base_url: Address of the server.
        reward_mode: ``grade`` or ``shaped``.
        client_options: Further arguments of the client.
    """

    def __init__(self, base_url: str, *, reward_mode: RewardMode = "grade", **client_options: Any) -> None:
        self._base_url = base_url
        self._reward_mode = reward_mode
        self._client_options = client_options

    def create(self, task: Any = None, seed: int | None = None, episode_id: str | None = None) -> DataSelectSession:  # noqa: ARG002
        """Start an episode.

        Args:
            task: Name of a task, or choices of a reset as a mapping (``task_id``, ``seed``, ``split``, ``index``); None
                is the default task.
            seed: Seed of the episode, where ``task`` names none; None lets the server draw one.
            episode_id: The collector's id of the rollout; not used. The server chooses the id of each episode, so that
                a collection can be repeated; ``verify`` reports it.

        Raises:
            InvalidInput, ServerError: The choices are invalid.
            ConnectionError: The server cannot be reached.
        """
        choices = {"task_id": task} if isinstance(task, str) else {} if task is None else task
        if not isinstance(choices, Mapping):
            raise InvalidInput("task: should be the name of a task or a mapping of a reset's choices", field="task")
        wanted = {"reward_mode": self._reward_mode, **({} if seed is None else {"seed": seed}), **choices}
        parse(ResetRequest, wanted)
        return DataSelectSession(DataSelectEnvClient(self._base_url, **self._client_options), wanted)


def _registered_task(task_id: str) -> Task:
    """Return the task that a server plays, from the tasks of this process."""
    try:
        return get_task(task_id)
    except UnknownTask:
        message = f"task_id: the server's task {task_id} is not registered in this process; load its task file first"
        raise InvalidInput(message, field="task_id") from None


def _tool(manifest: dict[str, Any]) -> Tool:
    schema = manifest["inputSchema"]
    properties = {name: field for name, field in schema["properties"].items() if name != "episode_id"}
    return Tool(
        name=manifest["name"], description=manifest["description"], input_schema={**schema, "properties": properties}
    )


def _action(name: str, arguments: dict[str, Any]) -> Action:
    if name == "stop":
        parse(NoArguments, arguments)
        return Action.stop()
    if name != "select_batch":
        raise InvalidInput("There is no such tool; the tools are select_batch and stop.")
    return parse(BatchArguments, arguments).action()
