"""Episodes played over HTTP; without a connection, each request names its episode."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from dataselect_env.core.errors import EpisodeNotFound, NoEpisode
from dataselect_env.core.models import EpisodeChoice, Operation, Reply, State
from dataselect_env.core.receipts import GraderReply
from dataselect_env.core.validation import parse
from dataselect_env.server.entries import Entries
from dataselect_env.server.session import Session
from dataselect_env.server.settings import Settings
from dataselect_env.server.store.base import EpisodeStore, Transport
from dataselect_env.server.store.sqlite import MEMORY, SQLITE_PREFIX
from dataselect_env.server.threads import PLAY, Once

if TYPE_CHECKING:
    from dataselect_env.server.service import Service


class HTTPEpisodes:
    """Recently used episodes in memory; all others are rebuilt from the store on request.

    Args:
        service: Runs the operations.
        store: Where episodes are stored.
        entries: Decides about the start of episodes.
        settings: Number of episodes in memory, and of processes that serve the same file.
    """

    def __init__(self, service: Service, store: EpisodeStore, entries: Entries, settings: Settings) -> None:
        self._service = service
        self._store = store
        self._entries = entries
        self._limit = settings.max_live_episodes
        self._is_alone = settings.workers == 1 and store.url.startswith((SQLITE_PREFIX, MEMORY))
        self._live: OrderedDict[str, Session] = OrderedDict()  # least recently used first
        self._in_use: WeakValueDictionary[str, Session] = WeakValueDictionary()  # also those that requests still use
        self._rebuilding: Once[str, Session] = Once()
        self._latest: str | None = None  # the episode that this process started last

    async def handle(self, operation: Operation, data: object) -> Reply | State:
        """Do one operation on the episode that ``data`` names, by default the most recently started one.

        Raises:
            EnvError: The request was refused or failed; every episode is as it was.
        """
        await self._service.load_libraries()  # rebuilding an episode needs them
        if operation == "reset":
            return await self.start(data, "http")
        chosen = data.get("episode_id") if isinstance(data, dict) else None
        session = await self._find(parse(EpisodeChoice, {"episode_id": chosen}).episode_id)
        return await self._service.run(session, operation, data if operation == "step" else None)

    async def start(self, data: object, transport: Transport) -> Reply | State:
        """Start an episode; over MCP it is never the one that requests without an id mean. Raises as :meth:`handle`."""
        await self._service.load_libraries()
        session = Session(self._store, transport, self._entries)
        reply = await self._service.run(session, "reset", data)
        self._keep(reply.episode_id, session)
        if transport == "http" and isinstance(reply, Reply) and reply.seed is not None:
            self._latest = reply.episode_id  # a sealed one belongs to whoever knows its id
        return reply

    async def is_latest(self, session: Session) -> bool:
        """Return whether a session has the stored state of its episode: it may have been continued by its id."""
        chosen = session.episode_id
        return chosen is None or session.step_count == await self._store.step_count(chosen)

    async def grade(self, data: object) -> GraderReply:
        """Return the grade of the finished episode that ``data`` names, by default the most recently started one.

        Raises as ``Service.grade``, and NoEpisode.
        """
        chosen = parse(EpisodeChoice, data).episode_id or await self._most_recent()
        if chosen is None:
            raise NoEpisode("There is no episode yet; reset starts one.")
        return await self._service.grade({"episode_id": chosen})

    async def _find(self, episode_id: str | None) -> Session:
        """Return the session of an episode, rebuilt when memory has none or an older state of it.

        Several processes may serve one store: each continues from the last stored step, whichever process played it.
        """
        if episode_id is None:
            episode_id = await self._most_recent()
            if episode_id is None:
                raise NoEpisode("There is no episode yet; POST /reset starts one.")
        session = self._in_use.get(episode_id)
        while session is None or session.step_count != await self._store.step_count(episode_id):
            session = await self._rebuilding.run(episode_id, partial(self._rebuild, episode_id))
        self._keep(episode_id, session)
        return session

    async def _rebuild(self, episode_id: str) -> Session:
        """Return a session that continues a stored episode."""
        stored = await self._store.load(episode_id)
        if stored.header.transport not in ("http", "mcp"):
            raise EpisodeNotFound(
                "episode_id: the episode belongs to a session; over HTTP it can only be graded",
                field="episode_id",
            )
        return await PLAY.run(Session.resume, self._store, stored, self._entries)

    async def _most_recent(self) -> str | None:
        """Return the episode most recently started over HTTP.

        A server with one process and a store on its own machine prefers those of this process.
        """
        if self._is_alone and self._latest is not None:
            return self._latest
        return await self._store.latest("http")

    def _keep(self, episode_id: str, session: Session) -> None:
        self._live[episode_id] = self._in_use[episode_id] = session
        self._live.move_to_end(episode_id)
        if len(self._live) > self._limit:
            self._live.popitem(last=False)
        self._service.metrics.live_episodes.set(len(self._live))
