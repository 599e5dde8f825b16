"""Everything that one server process holds: the store, the live sessions, and what is asked across episodes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from dataselect_env.errors import CapacityReached, EpisodeNotFound, EpisodeRunning, NoEpisode, TaskMismatch
from dataselect_env.evaluation.baseline import BaselineReport, baseline_report
from dataselect_env.models import EpisodeChoice, GraderReply, GraderRequest, Operation, Reply, State, parse
from dataselect_env.session import Session
from dataselect_env.settings import Settings
from dataselect_env.store import EpisodeStore, Transport
from dataselect_env.tasks import get_task


class Service:
    """What the transports call; it knows episodes by id and nothing of requests or sockets.

    Args:
        settings: Limits.
        store: Where episodes are kept; the service closes it.
    """

    def __init__(self, settings: Settings, store: EpisodeStore) -> None:
        self.settings = settings
        self._store = store
        self._connected: set[Session] = set()
        self._live: OrderedDict[str, Session] = OrderedDict()  # HTTP episodes, least recently used first
        self._latest: str | None = None  # the episode most recently started over HTTP, by this process
        self.make_room: Callable[[], None] = lambda: None  # called before a session is refused
        self._baseline: BaselineReport | None = None
        self._baseline_lock = threading.Lock()  # it is computed on a thread, and two may ask at once

    @property
    def active_sessions(self) -> int:
        """Sessions of WebSocket connections and MCP clients at this moment."""
        return len(self._connected)

    def connect(self, transport: Transport = "websocket") -> Session:
        """Return a session for a new WebSocket connection or MCP client; ``disconnect`` frees its place.

        Raises:
            CapacityReached: There are as many as there may be.
        """
        if self.active_sessions >= self.settings.max_sessions:
            self.make_room()
        if self.active_sessions >= self.settings.max_sessions:
            raise CapacityReached(
                f"All {self.settings.max_sessions} sessions of this server are in use; try again later."
            )
        session = Session(self._store, transport)
        self._connected.add(session)
        return session

    def disconnect(self, session: Session) -> None:
        """Free the place of a session whose client has gone."""
        self._connected.discard(session)

    def handle(self, operation: Operation, data: object) -> Reply | State:
        """Do one operation that came over HTTP: on the episode named in ``data``, or on the most recent one.

        Raises:
            EnvError: Whatever was wrong; every episode is as it was.
        """
        if operation == "reset":
            session = Session(self._store, "http")
            reply = session.handle("reset", data)
            self._keep(reply.episode_id, session)
            self._latest = reply.episode_id
            return reply
        chosen = data.get("episode_id") if isinstance(data, dict) else None
        session = self._find(parse(EpisodeChoice, {"episode_id": chosen}).episode_id)
        return session.handle(operation, data if operation == "step" else None)

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
        """Return the reference policies' results; computed at the first call, seconds long, and kept."""
        with self._baseline_lock:
            if self._baseline is None:
                self._baseline = baseline_report()
            return self._baseline

    def close(self) -> None:
        """Release the store; the service is not used afterwards."""
        self._store.close()

    def _find(self, episode_id: str | None) -> Session:
        """Return the session of an HTTP episode, rebuilt from the store when memory has none or an older state of it.

        Several processes may serve one store; whichever is asked goes on from where the last one was.
        """
        if episode_id is None:
            episode_id = self._latest or self._store.latest("http")  # the store is asked after a restart
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

    def _keep(self, episode_id: str, session: Session) -> None:
        self._live[episode_id] = session
        self._live.move_to_end(episode_id)
        if len(self._live) > self.settings.max_live_episodes:
            self._live.popitem(last=False)
