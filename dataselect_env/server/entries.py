"""Who may start which episode: names and tokens of agents, and places in the sealed split."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

from dataselect_env.core.errors import AgentRefused, AttemptUsed, InvalidInput, TaskIndexOutOfRange, UnknownSplit
from dataselect_env.core.models import ResetRequest
from dataselect_env.core.sealed import SealedSeed
from dataselect_env.core.specs import choose
from dataselect_env.core.tasks import DEFAULT_TASK, DYNAMICS_VERSION, SEALED, SPLITS, Task, get_task
from dataselect_env.custom.sources import GeneratorSource
from dataselect_env.server.keyring import Keyring
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.base import EpisodeHeader, EpisodeStore
from dataselect_env.server.store.boards import Board

TOKEN_BYTES = 32
"""Random bytes of an agent's token: too many to guess, so that a plain hash of it may be stored."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an episode starts: a task and, if it is sealed, its seed and the id of the key that the seed comes from."""

    task: Task
    sealed: SealedSeed | None = None
    key_id: str | None = None


class Entries:
    """Decides about the start of episodes.

    Args:
        store: Store of agents and attempts.
        settings: Size and order of the sealed split, and which agents may play.
        keyring: The keys; without any there is no sealed split.
    """

    def __init__(self, store: EpisodeStore, settings: Settings, keyring: Keyring) -> None:
        self._store = store
        self._settings = settings
        self._keyring = keyring

    async def places(self, request: ResetRequest) -> AsyncIterator[Place]:
        """Yield the places at which the episode may start, the best first; only where the server chooses, several.

        Raises:
            EnvError: The request was refused.
        """
        if request.agent is not None:
            await self._check_agent(request.agent, request)
        elif request.agent_token is not None:
            raise InvalidInput("agent: is missing, and agent_token needs it", field="agent")
        if request.split != SEALED:
            task, _ = choose(request.task_id, request.seed, request.split, request.index)
            yield Place(task)
            return
        task, agent = self._check_sealed(request)
        key_id, wanted = self._keyring.current, request.index
        for index in await self._indices_left(task, agent, key_id) if wanted is None else [wanted]:
            yield Place(task, self._keyring.seed(key_id, task, index), key_id)
        what = "all episodes" if wanted is None else "this episode"
        raise AttemptUsed(f"index: {agent} has started {what} before, and only the first attempt counts", field="index")

    async def _indices_left(self, task: Task, agent: str, key_id: str) -> list[int]:
        """Return the indices that an agent has not started, in the order in which it gets them."""
        board = Board(task.task_id, SEALED, key_id, DYNAMICS_VERSION, task.digest)
        started = {attempt.place for attempt in await self._store.attempts(board, [agent])}
        return [index for index in self._keyring.order(task, agent, self.size) if index not in started]

    @property
    def size(self) -> int:
        """Number of indices of each task in the sealed split."""
        return self._settings.sealed_size

    def sealed(self, header: EpisodeHeader) -> SealedSeed | None:
        """Return the seed of a sealed episode, None for another one.

        Raises:
            DynamicsMismatch: The server no longer has its secret.
        """
        if header.key_id is None:
            return None
        return self._keyring.seed(header.key_id, get_task(header.task_id), header.seed)

    def _check_sealed(self, request: ResetRequest) -> tuple[Task, str]:
        """Return task and agent of a request for a sealed episode."""
        if not self._keyring:
            raise UnknownSplit(
                f"split: this server does not offer {SEALED}; choose one of {', '.join(SPLITS)}", field="split"
            )
        task = get_task(request.task_id or DEFAULT_TASK)
        if task.source is not None and not isinstance(task.source, GeneratorSource):
            raise InvalidInput(
                f"split: {SEALED} is for generated data; the rows of task {task.task_id} are those of a table, which"
                " others may have",
                field="split",
            )
        if request.agent is None:
            raise InvalidInput(f"agent: is missing; the split {SEALED} counts one attempt an agent", field="agent")
        if request.seed is not None:
            raise InvalidInput(f"seed: the split {SEALED} has none; choose an index, or leave it out", field="seed")
        if request.index is not None:
            if self._settings.sealed_order == "server":
                raise InvalidInput("index: this server chooses it; leave it out", field="index")
            if request.index not in range(self.size):
                raise TaskIndexOutOfRange(f"index: must lie in 0 to {self.size - 1} for split {SEALED}", field="index")
        return task, request.agent

    async def _check_agent(self, name: str, request: ResetRequest) -> None:
        """Raise AgentRefused unless the request may count for this agent."""
        found = await self._store.agent(name)
        if found is not None and found.token_hash is not None:
            given = "" if request.agent_token is None else request.agent_token.get_secret_value()
            if not hmac.compare_digest(hash_of(given), found.token_hash):
                raise AgentRefused(
                    f"agent_token: {name} is a registered agent, and its token is missing or wrong", field="agent_token"
                )
            return
        if self._settings.agents == "registered":
            raise AgentRefused(
                f"agent: {name} is not registered; ask the operator of this server for a token", field="agent"
            )
        if found is None and len(await self._store.agents()) >= self._settings.max_agents:
            raise AgentRefused("agent: this server has as many agents as it takes; use a known name", field="agent")


def hash_of(token: str) -> str:
    """Return the hash of a token that the store keeps."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    """Return a new token."""
    return secrets.token_urlsafe(TOKEN_BYTES)
