"""The episode that the MCP tools act on: that of a client's own session, or one of those played over HTTP."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from dataselect_env.core.errors import EpisodeNotFound, NoEpisode
from dataselect_env.core.models import EpisodeId, Operation, Reply, State
from dataselect_env.core.receipts import GraderReply
from dataselect_env.core.validation import WireModel, parse
from dataselect_env.server.service import Service
from dataselect_env.server.session import Session

EPISODE_ID_DESCRIPTION = "Id that start_episode returned; default: the episode that you started last."


class EpisodeArguments(WireModel):
    """Arguments of tools that take nothing but an episode."""

    episode_id: EpisodeId | None = Field(None, description=EPISODE_ID_DESCRIPTION)


class EpisodeBackend(Protocol):
    """Runs the operations of the MCP tools. ``HTTPEpisodes`` is one, for clients without a session."""

    async def handle(self, operation: Operation, data: object) -> Reply | State:
        """Do one operation on the episode that ``data`` names, by default the client's latest."""

    async def grade(self, data: object) -> GraderReply:
        """Return the grade of the finished episode that ``data`` names, by default the client's latest."""


class SessionBackend:
    """Runs the operations of a client that has a session, on that session's episode and no other.

    Args:
        session: The session.
        service: The service that the session belongs to.
    """

    def __init__(self, session: Session, service: Service) -> None:
        self._session = session
        self._service = service

    async def handle(self, operation: Operation, data: object) -> Reply | State:
        """Do one operation on the session's episode.

        Raises:
            EnvError: The request was refused or failed, or ``data`` names another episode; the episode is as it was.
        """
        if operation != "state":
            return await self._service.run(self._session, operation, data)
        chosen = parse(EpisodeArguments, data).episode_id
        if chosen not in (None, self._session.episode_id):
            raise EpisodeNotFound("episode_id: this session plays another episode", field="episode_id")
        return await self._service.run(self._session, operation, None)

    async def grade(self, data: object) -> GraderReply:
        """Return the grade of a finished episode, by default the session's; raises as ``Service.grade``."""
        chosen = parse(EpisodeArguments, data).episode_id or self._session.episode_id
        if chosen is None:
            raise NoEpisode("There is no episode yet; start_episode starts one.")
        return await self._service.grade({"episode_id": chosen})
