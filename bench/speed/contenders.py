"""Servers to compare with: the textbook behind a plain FastAPI application, and an echo on OpenEnv's server.

uvicorn --factory bench.speed.contenders:textbook
uvicorn --factory bench.speed.contenders:echo
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from openenv.core.env_server import create_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State

from bench.speed.textbook import TextbookEnv

MAX_SESSIONS = 256


# --- the textbook ---------------------------------------------------------------------------------------------------


def _reset(env: TextbookEnv, data: dict[str, Any]) -> dict[str, Any]:
    performance = env.reset(data["task_id"], data["seed"])
    return {"observation": {"current_performance": performance}, "reward": None, "done": False}


def _step(env: TextbookEnv, data: dict[str, Any]) -> dict[str, Any]:
    result = env.step(data["batch_size"], data["strategy_weights"])
    observation = {
        "remaining_budget": env.task.budget - env.used,
        "diversity_score": float(result.diversity_score),
        "noise_estimate": float(result.noise_ratio),
        "current_performance": result.performance,
        "samples_available": len(env.X_pool),
    }
    return {"observation": observation, "reward": float(result.reward), "done": bool(result.done)}


def textbook() -> FastAPI:
    """Return the textbook's dynamics on ``/ws``, ``/reset`` and ``/step``, without validation and store."""
    app = FastAPI()
    episodes: dict[str, TextbookEnv] = {}

    @app.websocket("/ws")
    async def converse(socket: WebSocket) -> None:
        await socket.accept()
        env = TextbookEnv()
        try:
            while True:
                message = await socket.receive_json()
                operation = _reset if message["type"] == "reset" else _step
                await socket.send_json({"type": "observation", "data": operation(env, message["data"])})
        except WebSocketDisconnect:
            pass

    @app.post("/reset")
    async def reset(data: dict[str, Any]) -> dict[str, Any]:
        episode_id = data.get("episode_id") or uuid4().hex
        episodes[episode_id] = TextbookEnv()
        return {**_reset(episodes[episode_id], data), "episode_id": episode_id}

    @app.post("/step")
    async def step(data: dict[str, Any]) -> dict[str, Any]:
        return _step(episodes[data["episode_id"]], data)

    return app


# --- the echo -------------------------------------------------------------------------------------------------------


class EchoAction(Action):  # type: ignore[misc]  # openenv ships no types
    """A message."""

    message: str


class EchoObservation(Observation):  # type: ignore[misc]
    """The same message."""

    message: str


class EchoEnvironment(Environment[EchoAction, EchoObservation, State]):  # type: ignore[misc]
    """Returns the message, like the environment that ``openenv init`` writes."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._state = State(episode_id=str(uuid4()), step_count=0)

    def reset(self, seed: int | None = None, episode_id: str | None = None, **_: Any) -> EchoObservation:  # noqa: ARG002
        """Reset the counter."""
        self._state = State(episode_id=episode_id or str(uuid4()), step_count=0)
        return EchoObservation(message="ready", done=False, reward=0.0)

    def step(self, action: EchoAction, timeout_s: float | None = None, **_: Any) -> EchoObservation:  # noqa: ARG002
        """Return the message."""
        self._state.step_count += 1
        return EchoObservation(message=action.message, done=False, reward=float(len(action.message)))

    @property
    def state(self) -> State:
        """The state."""
        return self._state


def echo() -> FastAPI:
    """Return the echo environment on OpenEnv's server."""
    app: FastAPI = create_app(
        EchoEnvironment, EchoAction, EchoObservation, env_name="echo", max_concurrent_envs=MAX_SESSIONS
    )
    return app
