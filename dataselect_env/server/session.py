"""Client sessions. Every transport resets, steps and reads episodes through :meth:`Session.handle`.

The event loop itself plays what is quick, one reset at a turn; threads play what is not, meanwhile under the session's
lock.
"""

from __future__ import annotations

import asyncio
from typing import Final

from dataselect_env.core.actions import request_models
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.episode import replay
from dataselect_env.core.errors import (
    AttemptUsed,
    EpisodeConflict,
    EpisodeNotFound,
    EpisodeOver,
    InvalidInput,
    StoreOutcomeUnknown,
)
from dataselect_env.core.models import (
    DEFAULT_REWARD_MODE,
    Action,
    Operation,
    Reply,
    ResetRequest,
    State,
    StepEnvelope,
    StepRequest,
)
from dataselect_env.core.order import check_order
from dataselect_env.core.sealed import SealedSeed
from dataselect_env.core.tasks import DYNAMICS_VERSION, Task, get_task
from dataselect_env.core.validation import parse
from dataselect_env.server.entries import Entries, Place
from dataselect_env.server.replay import rebuild
from dataselect_env.server.store.base import EpisodeHeader, EpisodeStore, StoredEpisode, StoredStep, Transport
from dataselect_env.server.threads import PLAY, Turns, is_quick

RESETS = Turns()
"""Resets on new data, which take milliseconds: many sessions may reset at the same time."""


class Session:
    """A sequence of episodes played by one client. Every step is stored before it is acknowledged.

    Operations are serialised by a lock. One that fails, or whose request is cancelled, leaves the episode as it is in
    the store.

    Args:
        store: Store of the episodes.
        transport: Transport of the client.
        entries: Decides about the start of episodes.
    """

    def __init__(self, store: EpisodeStore, transport: Transport, entries: Entries) -> None:
        self._store = store
        self._transport: Final[Transport] = transport
        self._entries = entries
        self._lock = asyncio.Lock()
        self._env: DataSelectEnv | None = None
        self._header: EpisodeHeader | None = None
        self._sealed: SealedSeed | None = None
        self._actions: list[Action] = []
        self._is_known = True  # whether the store has these actions and no others

    @classmethod
    def resume(cls, store: EpisodeStore, stored: StoredEpisode, entries: Entries) -> Session:
        """Return a session that continues a stored episode, which is rebuilt by replay.

        Raises:
            DynamicsMismatch: The episode was recorded under other dynamics or another definition of its task, or the
                replay gives other rewards.
        """
        session = cls(store, stored.header.transport, entries)
        session._header = stored.header
        session._sealed = session._entries.sealed(stored.header)
        session._actions = [step.action for step in stored.steps]
        episode, _ = rebuild(stored, session._sealed)
        session._env = DataSelectEnv.going_on(episode, stored.header.episode_id, session._sealed)
        return session

    @property
    def episode_id(self) -> str | None:
        """Id of the current episode; None before the first reset."""
        return None if self._header is None else self._header.episode_id

    @property
    def step_count(self) -> int:
        """Actions so far in the current episode."""
        return len(self._actions)

    async def handle(self, operation: Operation, data: object) -> Reply | State:
        """Carry out one operation.

        Args:
            operation: The operation.
            data: Its arguments, as parsed from JSON; None counts as an empty object.

        Returns:
            The reply to a reset or step, or the state.

        Raises:
            EnvError: The operation failed; the episode is unchanged.
        """
        data = {} if data is None else data
        async with self._lock:
            if operation == "reset":
                return await self._reset(data)
            if self._env is None and self._header is not None:
                await self._restore(self._header)
            return await self._step(data) if operation == "step" else await self._state(data)

    async def _reset(self, data: object) -> Reply:
        request = parse(ResetRequest, data)
        async for place in self._entries.places(request):
            try:
                return await self._begin(request, place)
            except AttemptUsed:  # another request of this agent came first
                continue
        raise AssertionError("the last place has raised")

    async def _begin(self, request: ResetRequest, place: Place) -> Reply:
        env, sealed = DataSelectEnv(), place.sealed
        if sealed is not None:
            reply = await PLAY.run(env.start, request, (place.task, sealed))
        elif is_quick(place.task):
            await RESETS.next()
            reply = env.start(request)
        else:
            reply = await PLAY.run(env.start, request)
        place_in_split = reply.seed if sealed is None else sealed.index
        assert place_in_split is not None  # noqa: S101  (only sealed episodes hide their seed)
        header = EpisodeHeader(
            episode_id=reply.episode_id,
            transport=self._transport,
            task_id=reply.task_id,
            seed=place_in_split,
            reward_mode=request.reward_mode or DEFAULT_REWARD_MODE,
            dynamics_version=DYNAMICS_VERSION,
            task_digest=get_task(reply.task_id).digest,
            agent=request.agent,
            key_id=place.key_id,
        )
        await self._store.create(header, None if header.board is None else env.grade)
        self._env, self._header, self._sealed = env, header, sealed
        self._actions, self._is_known = [], True
        return reply

    async def _step(self, data: object) -> Reply:
        env, header = self._current("step")
        task = get_task(header.task_id)
        action = self._parse_action(data, task, header)
        try:
            reply = env.step(action) if is_quick(task) else await PLAY.run(env.step, action)
            await self._record(header, action, reply, env)
        except EpisodeOver:
            raise
        except BaseException as error:  # includes cancellation of the request
            self._env = None  # the next call rebuilds the episode as it was before this step
            self._is_known &= not isinstance(error, asyncio.CancelledError | EpisodeConflict | StoreOutcomeUnknown)
            raise
        self._actions.append(action)
        return reply

    async def _state(self, data: object) -> State:
        env, header = self._current("state")
        if data:
            raise InvalidInput("state takes no data")
        await self._store.step_count(header.episode_id)  # raises when the episode has expired, as a step would
        return env.state

    def _current(self, operation: Operation) -> tuple[DataSelectEnv, EpisodeHeader]:
        """Return the environment and header of the episode."""
        if self._env is None or self._header is None:
            check_order(operation, "none")
        assert self._env is not None  # noqa: S101  (check_order has raised otherwise)
        assert self._header is not None  # noqa: S101
        return self._env, self._header

    async def _restore(self, header: EpisodeHeader) -> None:
        """Rebuild an environment that was lost in a failed step."""
        if not self._is_known:
            stored = await self._store.load(header.episode_id)
            self._actions = [step.action for step in stored.steps]
            self._is_known = True
        seed = header.seed if self._sealed is None else self._sealed.seed
        episode, _ = await PLAY.run(replay, get_task(header.task_id), seed, tuple(self._actions), header.reward_mode)
        self._env = DataSelectEnv.going_on(episode, header.episode_id, self._sealed)

    def _parse_action(self, data: object, task: Task, header: EpisodeHeader) -> Action:
        request: StepEnvelope | StepRequest
        bare, wrapped = request_models(task.extra_strategies)
        if isinstance(data, dict) and "action" in data:
            request = parse(wrapped, data)
            action = request.action
        else:
            action = request = parse(bare, data)
        if request.episode_id not in (None, header.episode_id):
            raise EpisodeNotFound("episode_id: this session plays another episode", field="episode_id")
        return action

    async def _record(self, header: EpisodeHeader, action: Action, reply: Reply, env: DataSelectEnv) -> None:
        info, reward = reply.info, reply.reward
        assert info is not None  # noqa: S101  (every step has both)
        assert reward is not None  # noqa: S101
        step = StoredStep(action, info.batch_size, info.mislabelled or 0, reply.observation.current_performance, reward)
        so_far = None if header.board is None else info.grade or env.grade
        await self._store.append(header.episode_id, reply.step, step, info.grade, so_far)
