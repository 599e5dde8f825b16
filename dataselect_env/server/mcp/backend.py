"""The episode that the MCP tools act on: that of a client's own session, or one of those played over HTTP."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import Field

from dataselect_env.core.errors import InvalidInput, NoEpisode
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
    """Runs the operations of a client that has a session: by default on the session's episode.

    Args:
        session: The session.
        service: The service that the session belongs to.
    """

    def __init__(self, session: Session, service: Service) -> None:
        self._session = session
        self._service = service

    async def handle(self, operation: Operation, data: object) -> Reply | State:
        """Do one operation on an episode.

        The session's own episode may have been continued elsewhere meanwhile, by its id; it then goes on from there.

        Raises:
            EnvError: The request was refused or failed; the episode is as it was.
        """
        if operation == "reset":
            return await self._service.run(self._session, operation, data)
        chosen = _chosen(data)
        own = self._session.episode_id
        if own is None or chosen not in (None, own) or not await self._service.http.is_latest(self._session):
            if chosen is None and own is None:
                return await self._service.run(self._session, operation, data)  # which says that there is none
            return await self._service.http.handle(operation, {**_fields(data), "episode_id": chosen or own})
        return await self._service.run(self._session, operation, data if operation == "step" else None)

    async def grade(self, data: object) -> GraderReply:
        """Return the grade of a finished episode, by default the session's; raises as ``Service.grade``."""
        chosen = _chosen(data) or self._session.episode_id
        if chosen is None:
            raise NoEpisode("There is no episode yet; start_episode starts one.")
        return await self._service.grade({"episode_id": chosen})


class StatelessBackend:
    """Runs the operations of a client without a session: each names its episode.

    Args:
        service: The service that plays.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def handle(self, operation: Operation, data: object) -> Reply | State:
        """Start an episode, or do one operation on the episode that ``data`` names.

        Raises:
            EnvError: The request was refused or failed; the episode is as it was.
        """
        if operation == "reset":
            return await self._service.http.start(data, "mcp")
        return await self._service.http.handle(operation, {**_fields(data), "episode_id": _required(data)})

    async def grade(self, data: object) -> GraderReply:
        """Return the grade of the finished episode that ``data`` names; raises as ``Service.grade``."""
        return await self._service.grade({"episode_id": _required(data)})


def _fields(data: object) -> dict[str, Any]:
    return dict(data) if isinstance(data, dict) else {}


def _chosen(data: object) -> str | None:
    return parse(EpisodeArguments, {"episode_id": _fields(data).get("episode_id")}).episode_id


def _required(data: object) -> str:
    chosen = _chosen(data)
    if chosen is None:
        raise InvalidInput("episode_id: should be the id that start_episode returned", field="episode_id")
    return chosen
