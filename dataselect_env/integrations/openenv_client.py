"""The typed OpenEnv client: our wire types in and out, and the server's own words when something is wrong.

    from dataselect_env.integrations.openenv_client import Action, DataSelectEnvClient

    with DataSelectEnvClient("http://localhost:7860").sync() as client:
        result = client.reset(task_id="hard", seed=1)
        while not result.done:
            result = client.step(Action.select(13, diversity=1))
        print(result.grade.score)

In async code the client itself is used, with ``async with`` and ``await``. openenv comes with the extra ``client``;
0.4.1 to 0.10 work (``bench/consumers/openenv_versions.py``).

``AutoEnv`` finds environments by the names of distributions: those that begin with ``openenv-``, and in them classes
whose names it makes from the rest. ``packages/openenv-dataselect-env`` is such a distribution, without code; with it
installed ``AutoEnv.from_env("dataselect")`` gives this client, by the other names at the end of this module. The
package holds no openenv.yaml on purpose: AutoEnv would make other names from its ``name``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openenv.core.client_types import StepResult
from openenv.core.env_client import EnvClient

from dataselect_env.core.models import Action, Grade, Observation, Reply, RewardMode, State, parse

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
        code: Stable name of the mistake, as in ``errors``.
        message: The server's sentence: what was wrong and what is allowed.
        field: Dotted name of the offending field, when there is one.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code, self.message, self.field = code, message, field


class EpisodeLostError(ServerError):
    """The connection was lost and with it the episode: openenv's client connects anew without saying so."""


@dataclass(kw_only=True)
class DataSelectResult(StepResult[Observation]):
    """What openenv's clients return, with the whole reply.

    Attributes:
        reply: Observation, reward, episode, seed, step, and after a step what the bought batch brought.
    """

    reply: Reply

    @property
    def grade(self) -> Grade | None:
        """The episode's grade, once it is over."""
        return self.reply.info.grade if self.reply.info is not None else None


class DataSelectEnvClient(EnvClient[Action | Mapping[str, object], Observation, State]):
    """A session on a server, for one episode after the other; arguments are those of openenv's ``EnvClient``."""

    _episode_id: str | None = None

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
            A :class:`DataSelectResult`, in async code to be awaited.

        Raises:
            ServerError: A choice makes no sense; the episode that was there before goes on.
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
        """Return the action as JSON, with the episode that it is meant for."""
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

    async def _receive(self) -> dict[str, Any]:
        """Return the server's answer, or raise what it says in its own words."""
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
"""The names that AutoEnv and AutoAction make from ``openenv-dataselect-env``."""
