"""The typed OpenEnv client: takes and returns our wire types, and raises the server's own error messages.

    from dataselect_env.integrations.openenv_client import Action, DataSelectEnvClient

    with DataSelectEnvClient("http://localhost:7860").sync() as client:
        result = client.reset(task_id="hard", seed=1)
        while not result.done:
            result = client.step(Action.select(13, diversity=1))
        print(result.grade.score)

In async code use the client itself, with ``async with`` and ``await``. The extra ``client`` installs openenv; versions
0.4.1 to 0.10 work (``bench/consumers/openenv_versions.py``).

``AutoEnv`` looks for distributions whose names begin with ``openenv-``, and derives the names of their classes from the
rest. ``packages/openenv-dataselect-env`` is such a distribution, without code: when it is installed,
``AutoEnv.from_env("dataselect")`` returns this client, by the aliases at the end of this module. The package has no
openenv.yaml, because AutoEnv would derive other names from its ``name``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openenv.core.client_types import StepResult
from openenv.core.env_client import EnvClient

from dataselect_env.core.models import Action, Grade, Observation, Reply, RewardMode, State
from dataselect_env.core.validation import parse
from dataselect_env.integrations.numbers import to_json

__all__ = [
    "Action",
    "DataSelectEnvClient",
    "DataSelectResult",
    "DataselectAction",
    "DataselectEnv",
    "DataselectObservation",
    "EpisodeLostError",
    "Observation",
    "ServerError",
    "State",
]


class ServerError(RuntimeError):
    """The server refused a message.

    Args:
        code: Stable error code, as in :mod:`dataselect_env.core.errors`.
        message: The server's message: what was wrong and what is allowed.
        field: Dotted name of the invalid field, if there is one.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code, self.message, self.field = code, message, field


class EpisodeLostError(ServerError):
    """The connection and its episode were lost; openenv's own client would reconnect silently."""


@dataclass(kw_only=True)
class DataSelectResult(StepResult[Observation]):
    """The result of openenv's clients, with the whole reply.

    Attributes:
        reply: Observation, reward, episode, seed and step; after a step also what is known about the batch.
    """

    reply: Reply

    @property
    def grade(self) -> Grade | None:
        """The episode's grade; None before its end."""
        return self.reply.info.grade if self.reply.info is not None else None


class DataSelectEnvClient(EnvClient[Action | Mapping[str, object], Observation, State]):
    """A session on a server, which plays one episode at a time; arguments are those of openenv's ``EnvClient``.

    A call that is interrupted or fails before its answer has arrived ends the connection, and with it the episode; the
    next reset connects again.
    """

    _episode_id: str | None = None
    _exchange: object | None = None  # the call that waits for its answer
    _ws: Any  # the connection, as openenv keeps it

    def reset(
        self,
        *,
        task_id: str | None = None,
        seed: int | None = None,
        episode_id: str | None = None,
        reward_mode: RewardMode | None = None,
        split: str | None = None,
        index: int | None = None,
    ) -> Any:
        """Start an episode; arguments are those of :meth:`DataSelectEnv.reset`.

        Returns:
            A :class:`DataSelectResult`; in async code an awaitable.

        Raises:
            ServerError: The server refuses the request; the previous episode continues.
            ConnectionError: The server cannot be reached.
        """
        choices = {
            "task_id": task_id,
            "seed": seed,
            "episode_id": episode_id,
            "reward_mode": reward_mode,
            "split": split,
            "index": index,
        }
        return super().reset(**{name: value for name, value in choices.items() if value is not None})

    def _step_payload(self, action: Action | Mapping[str, object]) -> dict[str, Any]:
        """Return the action as JSON, with the id of its episode."""
        payload = action.model_dump(exclude={"metadata"}) if isinstance(action, Action) else dict(action)
        return {**payload, "episode_id": self._episode_id}

    def _parse_result(self, payload: dict[str, Any]) -> DataSelectResult:
        reply = parse(Reply, payload)
        if reply.step == 0:
            self._episode_id = reply.episode_id
        self._check_identity(reply.episode_id)
        observation = Observation(**reply.observation.model_dump(), done=reply.done, reward=reply.reward)
        metadata = payload.get("metadata")
        return DataSelectResult(
            observation=observation, reward=reply.reward, done=reply.done, metadata=metadata, reply=reply
        )

    def _parse_state(self, payload: dict[str, Any]) -> State:
        state = parse(State, payload)
        self._check_identity(state.episode_id)
        return state

    async def _send_and_receive(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a message.

        If the answer does not arrive, the connection ends: a late answer would pass for that of the next call.
        """
        message = json.loads(to_json(message))
        if self._exchange is not None:  # an interrupted call of the synchronous client still waits in its thread
            self._abort()
        exchange = self._exchange = object()
        try:
            response: dict[str, Any] = await super()._send_and_receive(message)
            if self._exchange is not exchange:
                raise ConnectionError("This call was interrupted, and another one followed.")
            return response
        except ServerError:  # a whole answer
            raise
        except BaseException:
            if self._exchange is exchange:
                self._abort()
            raise
        finally:
            if self._exchange is exchange:
                self._exchange = None

    def _abort(self) -> None:
        """End the connection without the closing handshake, which could take seconds."""
        if self._ws is not None:
            self._ws.transport.abort()
            self._ws = None

    async def _receive(self) -> dict[str, Any]:
        """Return the server's answer, or raise its error."""
        response: dict[str, Any] = await super()._receive()
        if response.get("type") != "error":
            return response
        body = response.get("data") or {}
        code, message = str(body.get("code")), str(body.get("message"))
        if code == "NO_EPISODE" and self._episode_id is not None:
            raise self._lost()
        raise ServerError(code, message, body.get("field"))

    def _check_identity(self, episode_id: str) -> None:
        if episode_id != self._episode_id:
            raise self._lost()

    def _lost(self) -> EpisodeLostError:
        lost, self._episode_id = self._episode_id, None
        return EpisodeLostError(
            "EPISODE_LOST",
            f"The connection was lost, and with it the episode {lost}; its finished steps are stored. reset starts"
            " another one.",
        )


DataselectEnv, DataselectAction, DataselectObservation = DataSelectEnvClient, Action, Observation
"""The names that AutoEnv and AutoAction derive from ``openenv-dataselect-env``."""
