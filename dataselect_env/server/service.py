"""Everything that one server process holds: the store, the live sessions, and what is asked across episodes."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from dataselect_env.core.errors import (
    CapacityReached,
    EnvError,
    EpisodeNotFound,
    EpisodeRunning,
    NoEpisode,
    ServerStopping,
    StoreUnavailable,
    TaskMismatch,
)
from dataselect_env.core.models import EpisodeChoice, GraderReply, GraderRequest, Operation, Reply, State, parse
from dataselect_env.core.tasks import get_task
from dataselect_env.core.warm_start import load_libraries
from dataselect_env.evaluation.baseline import BaselineReport, baseline_report
from dataselect_env.server import pool_view
from dataselect_env.server.limits import RateLimiter, SessionTimeout
from dataselect_env.server.logs import note_episode
from dataselect_env.server.metrics import Metrics
from dataselect_env.server.pool_view import PoolView
from dataselect_env.server.session import Session
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.base import EpisodeStore, Transport
from dataselect_env.server.store.retention import Retention

logger = logging.getLogger(__name__)

TIDY_INTERVAL = 60.0
"""Seconds between looks for episodes that leave the store."""
DRAIN_INTERVAL = 0.01
"""Seconds between looks whether the sessions of a stopping server have ended."""
TIDY_PAUSE = 0.01
"""Seconds in between while there are some: about two thousand a second leave, more than can be played."""


class Service:
    """What the transports call; it knows episodes by id and nothing of requests or sockets.

    Args:
        settings: Limits.
        store: Where episodes are kept; the service closes it.
    """

    def __init__(self, settings: Settings, store: EpisodeStore) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.limiter = RateLimiter(settings.rate_limit) if settings.rate_limit else None
        self._store = store
        self._connected: dict[Session, SessionTimeout | None] = {}
        self._stopping = asyncio.Event()
        self._live: OrderedDict[str, Session] = OrderedDict()  # HTTP episodes, least recently used first
        self._latest: str | None = None  # the episode most recently started over HTTP, by this process
        self.make_room: Callable[[], None] = lambda: None  # called before a session is refused
        self._has_loaded = False
        self._baseline: BaselineReport | None = None
        self._baseline_lock = threading.Lock()  # it is computed on a thread, and two may ask at once

    @property
    def active_sessions(self) -> int:
        """Sessions of WebSocket connections and MCP clients at this moment."""
        return len(self._connected)

    def connect(self, timeout: SessionTimeout | None = None, transport: Transport = "websocket") -> Session:
        """Return a session for a new WebSocket connection or MCP client; ``disconnect`` frees its place.

        Args:
            timeout: Told when the server stops.
            transport: What the client came over.

        Raises:
            CapacityReached: There are as many as there may be.
            ServerStopping: The server has been told to stop.
        """
        self._check_running()
        if self.active_sessions >= self.settings.max_sessions:
            self.make_room()
        if self.active_sessions >= self.settings.max_sessions:
            raise CapacityReached(
                f"All {self.settings.max_sessions} sessions of this server are in use; try again later."
            )
        session = Session(self._store, transport)
        self._connected[session] = timeout
        return session

    def attend(self, session: Session, timeout: SessionTimeout | None) -> None:
        """Note who is told when the server stops: a connection that plays ``session``, or nobody."""
        self._connected[session] = timeout

    def disconnect(self, session: Session) -> None:
        """Free the place of a session whose client has gone."""
        self._connected.pop(session, None)

    async def handle(self, operation: Operation, data: object) -> Reply | State:
        """Do one operation that came over HTTP: on the episode named in ``data``, or on the most recent one.

        Raises:
            EnvError: Whatever was wrong; every episode is as it was.
        """
        await self._load()
        if operation == "reset":
            session = Session(self._store, "http")
            reply = await self.play(session, "reset", data)
            self._keep(reply.episode_id, session)
            self._latest = reply.episode_id
            return reply
        chosen = data.get("episode_id") if isinstance(data, dict) else None
        session = self._find(parse(EpisodeChoice, {"episode_id": chosen}).episode_id)
        return await self.play(session, operation, data if operation == "step" else None)

    async def play(self, session: Session, operation: Operation, data: object) -> Reply | State:
        """Do one operation of a session, and count it.

        Raises:
            EnvError: Whatever was wrong; the episode is as it was.
        """
        await self._load()
        note_episode(session.episode_id)
        began = time.perf_counter()
        reply = await session.handle(operation, data)
        if isinstance(reply, Reply):
            self.metrics.played(reply.task_id, reply.step, reply.done, time.perf_counter() - began)
            if operation == "reset":
                note_episode(reply.episode_id)
        return reply

    def grade(self, data: object) -> GraderReply:
        """Return the grade of a finished episode, whichever transport played it.

        Raises:
            InvalidInput, UnknownTask: The request makes no sense.
            EpisodeNotFound: No such episode.
            TaskMismatch: It was played on another task.
            EpisodeRunning: It is not over.
        """
        request = parse(GraderRequest, data)
        stored = self._store.load(request.episode_id)
        played = stored.header.task_id
        if request.task_id is not None and get_task(request.task_id).task_id != played:
            raise TaskMismatch(f"task_id: the episode was played on task {played}", field="task_id")
        if stored.grade is None:
            raise EpisodeRunning(
                "The episode is not over: stop, or play until budget or steps are used up, then ask again.",
                field="episode_id",
            )
        grade = stored.grade
        return GraderReply(
            episode_id=request.episode_id,
            task_id=played,
            score=grade.score,
            passed=grade.passed,
            breakdown=grade.breakdown,
        )

    def baseline(self) -> BaselineReport:
        """Return the reference policies' results; computed at the first call, seconds long, and kept.

        Raises:
            ServerStopping: The server was told to stop meanwhile.
        """
        with self._baseline_lock:
            if self._baseline is None:
                self._baseline = baseline_report(lambda _: self._check_running())
            return self._baseline

    def pool(self, episode_id: str, *, points: bool) -> PoolView:
        """Return what may be shown of an episode's pool, whichever transport plays it.

        Raises:
            EpisodeNotFound: No such episode.
            DynamicsMismatch: It was recorded under other dynamics or numerical libraries.
        """
        return pool_view.view(self._store.load(episode_id), points=points)

    async def check_ready(self) -> None:
        """Ask the store whether episodes can be played.

        Raises:
            StoreUnavailable: They cannot.
            ServerStopping: The server has been told to stop.
        """
        self._check_running()
        await self._store.check()

    def metrics_text(self) -> str:
        """Return what there is to count and to measure, for Prometheus."""
        gauges = {
            "sessions": ("WebSocket sessions.", self.active_sessions),
            "sessions_max": ("WebSocket sessions that there may be.", self.settings.max_sessions),
            "live_episodes": ("HTTP episodes held in memory.", len(self._live)),
            "rate_limited_clients": ("Clients that the rate limit remembers.", len(self.limiter or ())),
        }
        try:
            size = self._store.size()
        except StoreUnavailable:
            return self.metrics.text({**gauges, "store_up": ("Whether the store answers.", 0)})
        gauges["store_bytes"] = ("Size of the store.", size)
        return self.metrics.text({**gauges, "store_up": ("Whether the store answers.", 1)})

    async def tidy(self) -> None:
        """Remove what the store need not keep, little by little, until the server stops."""
        keep = Retention(self.settings.keep_episodes, self.settings.keep_days, self.settings.episode_lifetime)
        while not self._stopping.is_set():
            try:
                more = await self._store.prune(keep)
            except EnvError:  # the store has logged why
                more = False
            try:
                await asyncio.wait_for(self._stopping.wait(), TIDY_PAUSE if more else TIDY_INTERVAL)
            except TimeoutError:
                continue

    def stop(self) -> None:
        """Begin nothing new, and let every session end after the message that it is answering."""
        self._stopping.set()
        for timeout in self._connected.values():
            if timeout is not None:
                timeout.end(ServerStopping("The server is stopping; connect again in a moment."))

    async def drain(self) -> None:
        """Stop, and wait until every session has ended, as long as the settings allow."""
        self.stop()
        deadline = time.monotonic() + self.settings.stop_timeout
        while any(self._connected.values()) and time.monotonic() < deadline:
            await asyncio.sleep(DRAIN_INTERVAL)

    def close(self) -> None:
        """Release the store; the service is not used afterwards."""
        self._store.close()

    async def _load(self) -> None:
        """Load what the first episode needs, a second or two of imports, on a thread: everybody else is answered."""
        if not self._has_loaded:
            await asyncio.to_thread(load_libraries)
            self._has_loaded = True

    def _check_running(self) -> None:
        if self._stopping.is_set():
            raise ServerStopping("The server is stopping; try again in a moment.")

    def _find(self, episode_id: str | None) -> Session:
        """Return the session of an HTTP episode, rebuilt from the store when memory has none or an older state of it.

        Several processes may serve one store; whichever is asked goes on from where the last one was.
        """
        if episode_id is None:
            episode_id = self._most_recent()
            if episode_id is None:
                raise NoEpisode("There is no episode yet; POST /reset starts one.")
        session = self._live.get(episode_id)
        if session is None or session.step_count != self._store.step_count(episode_id):
            stored = self._store.load(episode_id)
            if stored.header.transport != "http":
                raise EpisodeNotFound(
                    "episode_id: the episode belongs to a session; over HTTP it can only be graded",
                    field="episode_id",
                )
            session = Session.resume(self._store, stored)
        self._keep(episode_id, session)
        return session

    def _most_recent(self) -> str | None:
        """Return the episode most recently started over HTTP: by this server, or before it was started."""
        if self.settings.workers == 1 and self._latest is not None:
            return self._latest  # another server may use the same store
        return self._store.latest("http")

    def _keep(self, episode_id: str, session: Session) -> None:
        self._live[episode_id] = session
        self._live.move_to_end(episode_id)
        if len(self._live) > self.settings.max_live_episodes:
            self._live.popitem(last=False)
