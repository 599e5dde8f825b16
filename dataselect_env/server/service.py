"""The service behind all transports: it runs operations, grades episodes and prunes the store."""

from __future__ import annotations

import gc
import logging
import time
from functools import cache, partial

from dataselect_env.core.errors import EnvError, EpisodeRunning, SealedEpisode, StoreUnavailable, TaskMismatch
from dataselect_env.core.models import GraderRequest, Operation, Reply, State
from dataselect_env.core.receipts import GraderReply
from dataselect_env.core.tasks import get_task
from dataselect_env.core.validation import parse
from dataselect_env.core.warm_start import load_libraries
from dataselect_env.evaluation.baseline import BaselineReport, baseline_report
from dataselect_env.server import pool_view
from dataselect_env.server.entries import Entries
from dataselect_env.server.episode_views import EpisodeViews
from dataselect_env.server.http_episodes import HTTPEpisodes
from dataselect_env.server.keyring import Keyring
from dataselect_env.server.leaderboard import Leaderboards
from dataselect_env.server.limits import RateLimiter
from dataselect_env.server.logs import note_episode
from dataselect_env.server.metrics import Metrics
from dataselect_env.server.session import Session
from dataselect_env.server.sessions import Sessions
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.base import EpisodeStore
from dataselect_env.server.store.retention import Retention
from dataselect_env.server.threads import PLAY, REPORT, SHOW, Once

logger = logging.getLogger(__name__)

PRUNE_INTERVAL = 60.0
"""Seconds between searches for expired episodes."""
PRUNE_PAUSE = 0.01
"""Seconds between removals while there are expired episodes: about 2,000 a second, more than are played."""


@cache
def _load_libraries() -> None:
    """Import what episodes need, and leave it out of garbage collections from now on.

    A full collection would examine 80,000 objects of the libraries, which keeps all threads waiting for 30 ms; a
    request of the largest size causes one.
    """
    load_libraries()
    gc.freeze()


class Service:
    """Sessions, episodes and store of one process, independent of requests and sockets.

    Attributes:
        settings: Limits.
        sessions: Sessions of connected clients.
        http: Episodes that are played over HTTP.
        keyring: Keys of the sealed split and of receipts.
        entries: Decides about the start of episodes.
        views: What is shown of stored episodes.
        leaderboards: What is shown of agents and their attempts.
        metrics: Counters for Prometheus.
        limiter: Counts requests by client; None where the settings set no rate limit.

    Args:
        settings: Limits.
        store: Where episodes are stored; the service closes it.
    """

    def __init__(self, settings: Settings, store: EpisodeStore) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.limiter = RateLimiter(settings.rate_limit) if settings.rate_limit else None
        self.metrics.sessions_max.set(settings.max_sessions)
        self.keyring = Keyring.of(settings)
        self.entries = Entries(store, settings, self.keyring)
        self.sessions = Sessions(store, self.entries, settings, self.metrics.sessions.set)
        self.http = HTTPEpisodes(self, store, self.entries, settings)
        self.views = EpisodeViews(store)
        self.leaderboards = Leaderboards(store, settings, self.keyring)
        self._store = store
        self._has_loaded = False
        self._loading: Once[None, None] = Once()
        self._baseline: BaselineReport | None = None
        self._reporting: Once[None, BaselineReport] = Once()
        self._showing: Once[tuple[str, int, bool, pool_view.Layout], str] = Once()

    async def run(self, session: Session, operation: Operation, data: object) -> Reply | State:
        """Do one operation on a session's episode; log and count it.

        Every operation of every transport passes here.

        Raises:
            EnvError: The request was refused or failed; the episode is as it was.
        """
        await self.load_libraries()
        note_episode(session.episode_id)
        began = time.perf_counter()
        reply = await session.handle(operation, data)
        if isinstance(reply, Reply):
            self.metrics.count_step(reply.task_id, reply.step, reply.done, time.perf_counter() - began)
            if operation == "reset":
                note_episode(reply.episode_id)
        return reply

    async def load_libraries(self) -> None:
        """Import what episodes need, at the first call, on a thread: other requests are answered meanwhile."""
        if not self._has_loaded:
            await self._loading.run(None, partial(PLAY.run, _load_libraries))
            self._has_loaded = True

    async def grade(self, data: object) -> GraderReply:
        """Return the grade of a finished episode of any transport.

        Args:
            data: A :class:`GraderRequest` as parsed from JSON.

        Raises:
            InvalidInput, UnknownTask: The request is not valid.
            EpisodeNotFound: There is no such episode.
            TaskMismatch: The episode was played on another task.
            EpisodeRunning: The episode is not over.
        """
        request = parse(GraderRequest, data)
        stored = await self._store.load(request.episode_id)
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
            receipt=self.keyring.receipt(stored, grade),
        )

    async def baseline(self) -> BaselineReport:
        """Return the results of the reference policies; the first call plays them, which takes seconds.

        Raises:
            ServerStopping: The server is stopping.
        """
        if self._baseline is None:
            report = partial(REPORT.run, baseline_report, lambda _: self.sessions.check_running())
            self._baseline = await self._reporting.run(None, report)
        return self._baseline

    async def pool(self, episode_id: str, *, points: bool, layout: pool_view.Layout = "components") -> str:
        """Return what may be shown of the pool of an episode of any transport: a ``PoolView`` as JSON.

        Simultaneous requests for the same view share one computation.

        Raises:
            EpisodeNotFound: There is no such episode.
            DynamicsMismatch: It was recorded under other dynamics or numerical libraries.
            SealedEpisode: It is sealed.
        """
        steps = await self._store.step_count(episode_id)  # a client that knows of a step gets a view with it
        show = partial(self._show_pool, episode_id, points=points, layout=layout)
        return await self._showing.run((episode_id, steps, points, layout), show)

    async def _show_pool(self, episode_id: str, *, points: bool, layout: pool_view.Layout) -> str:
        stored = await self._store.load(episode_id)
        if stored.header.key_id is not None:
            raise SealedEpisode("episode_id: the pool of a sealed episode is never shown", field="episode_id")
        return await SHOW.run(lambda: pool_view.view(stored, points=points, layout=layout).model_dump_json())

    async def check_ready(self) -> None:
        """Return when episodes can be played.

        Raises:
            StoreUnavailable: The store cannot be written.
            ServerStopping: The server is stopping.
        """
        self.sessions.check_running()
        await self._store.check()

    async def metrics_text(self) -> bytes:
        """Return the metrics of this process, or of all workers, in the text format of Prometheus."""
        gauges: dict[str, tuple[str, float]] = {"store_up": ("Whether the store can be read.", 1)}
        try:
            gauges["store_bytes"] = ("Size of the store.", await self._store.size())
        except StoreUnavailable:
            gauges["store_up"] = (gauges["store_up"][0], 0)
        return await SHOW.run(self.metrics.text, gauges)

    async def prune(self) -> None:
        """Close expired sessions and remove expired episodes, a few at a time, until the server stops."""
        while not self.sessions.is_stopping:
            self.sessions.expire()
            more = await self.prune_some()
            await self.sessions.wait_for_stop(PRUNE_PAUSE if more else PRUNE_INTERVAL)

    async def prune_some(self) -> bool:
        """Remove a few expired episodes, which takes about a millisecond; return whether there may be more."""
        keep = Retention(self.settings.keep_episodes, self.settings.keep_days, self.settings.episode_lifetime)
        try:
            return await self._store.prune(keep)
        except EnvError:  # the store has logged the cause
            return False
        except Exception:  # a defect must not end the removal for good
            logger.exception("expired episodes could not be removed; it is tried again later")
            return False

    async def close(self) -> None:
        """Release the store; the service is not used afterwards."""
        await self._store.close()
