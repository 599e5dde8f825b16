"""Errors that clients see: one vocabulary for every transport.

Each class has a stable ``code`` for programs and an HTTP ``status``; each instance carries a message for people. Every
transport answers with :meth:`EnvError.body`, and nothing else describes an error to a client.
"""

from __future__ import annotations

from typing import ClassVar


class EnvError(Exception):
    """Base class of all errors that reach a client; raise a subclass.

    Args:
        message: What was wrong and what is allowed. The client reads it: no paths, no internal names.
        field: Dotted name of the offending field, if there is one.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.headers: dict[str, str] = {}
        """Extra response headers, for HTTP."""

    def body(self) -> dict[str, str | None]:
        """Return the JSON body of the error: ``code``, ``message`` and ``field``."""
        return {"code": self.code, "message": self.message, "field": self.field}


class InvalidJSON(EnvError):
    """The request body or WebSocket message is not JSON."""

    code, status = "INVALID_JSON", 400


class UnknownType(EnvError):
    """The WebSocket message has a type that the protocol does not define."""

    code, status = "UNKNOWN_TYPE", 400


class InvalidInput(EnvError):
    """A field is missing, unknown, of the wrong type or out of range."""

    code, status = "VALIDATION_ERROR", 422


class UnknownTask(EnvError):
    """There is no task of this name."""

    code, status = "UNKNOWN_TASK", 404


class UnknownSplit(EnvError):
    """There is no split of this name."""

    code, status = "UNKNOWN_SPLIT", 404


class TaskIndexOutOfRange(EnvError):
    """The split has no task at this index; the status is that of OpenEnv's Task API."""

    code, status = "TASK_INDEX_OUT_OF_RANGE", 400


class NoEpisode(EnvError):
    """A step or the state was requested before the first reset."""

    code, status = "NO_EPISODE", 409


class EpisodeOver(EnvError):
    """A step was requested after the end of the episode."""

    code, status = "EPISODE_OVER", 409


class EpisodeRunning(EnvError):
    """A grade was requested before the end of the episode."""

    code, status = "EPISODE_RUNNING", 409


class EpisodeExists(EnvError):
    """The chosen ``episode_id`` is already in use."""

    code, status = "EPISODE_EXISTS", 409


class EpisodeConflict(EnvError):
    """Another request has already played this step of the episode."""

    code, status = "EPISODE_CONFLICT", 409


class EpisodeNotFound(EnvError):
    """There is no episode of this id, or this transport may not continue it."""

    code, status = "EPISODE_NOT_FOUND", 404


class AttemptUsed(EnvError):
    """The agent has already started this episode of the sealed split, or all of them."""

    code, status = "ATTEMPT_USED", 409


class AgentRefused(EnvError):
    """The agent is not registered, its token is missing or wrong, or the server has too many agents."""

    code, status = "AGENT_REFUSED", 403


class SealedEpisode(EnvError):
    """What was asked for could identify the data of a sealed episode, and is never shown."""

    code, status = "SEALED_EPISODE", 403


class TaskMismatch(EnvError):
    """The episode belongs to another task."""

    code, status = "TASK_MISMATCH", 409


class DynamicsMismatch(EnvError):
    """The episode was recorded under other dynamics or other data and cannot be continued."""

    code, status = "DYNAMICS_MISMATCH", 409


class NotFound(EnvError):
    """There is no such route or environment."""

    code, status = "NOT_FOUND", 404


class MethodNotAllowed(EnvError):
    """The route does not support this HTTP method."""

    code, status = "METHOD_NOT_ALLOWED", 405


class MalformedRequest(EnvError):
    """What a client sent is not an HTTP request."""

    code, status = "MALFORMED_REQUEST", 400


class URITooLong(EnvError):
    """The address of a request is too long."""

    code, status = "URI_TOO_LONG", 414


class HeadersTooLarge(EnvError):
    """The headers of a request are too many or too large."""

    code, status = "HEADERS_TOO_LARGE", 431


class PayloadTooLarge(EnvError):
    """The request body exceeds the size limit."""

    code, status = "PAYLOAD_TOO_LARGE", 413


class RequestTimeout(EnvError):
    """The request body did not arrive in time."""

    code, status = "REQUEST_TIMEOUT", 408


class SessionIdle(EnvError):
    """The WebSocket session was idle for too long and was closed."""

    code, status = "SESSION_IDLE", 408


class SessionExpired(EnvError):
    """The WebSocket session has reached its maximum lifetime."""

    code, status = "SESSION_EXPIRED", 408


class Unauthorized(EnvError):
    """The server requires a token, and it was missing or wrong."""

    code, status = "UNAUTHORIZED", 401

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message, field=field)
        self.headers = {"WWW-Authenticate": "Bearer"}


class ForbiddenOrigin(EnvError):
    """The request comes from a web page whose origin may not use this server."""

    code, status = "FORBIDDEN_ORIGIN", 403


class ForbiddenHost(EnvError):
    """The request names a host under which this server is not known."""

    code, status = "FORBIDDEN_HOST", 403


class TooManyRequests(EnvError):
    """The client has exceeded the rate limit.

    Args:
        message: As in :class:`EnvError`.
        field: As in :class:`EnvError`.
        retry_after: Seconds until the client may try again.
    """

    code, status = "TOO_MANY_REQUESTS", 429

    def __init__(self, message: str, *, field: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, field=field)
        self.headers = {"Retry-After": str(retry_after)}


class ServerStopping(EnvError):
    """The server is shutting down and accepts no new work."""

    code, status = "SERVER_STOPPING", 503


class CapacityReached(EnvError):
    """The server has reached its maximum number of sessions."""

    code, status = "CAPACITY_REACHED", 503


class SessionNotFound(EnvError):
    """There is no MCP session of this id, or it has ended."""

    code, status = "SESSION_NOT_FOUND", 404


class StoreUnavailable(EnvError):
    """The episode store could not be read or written; the episode is unchanged."""

    code, status = "STORE_UNAVAILABLE", 503


class StoreOutcomeUnknown(StoreUnavailable):
    """The connection to the episode store was lost during a write, which may have been stored."""


class InternalError(EnvError):
    """The server failed because of a defect. The cause is logged and never sent to the client."""

    code, status = "INTERNAL_ERROR", 500


def as_client_error(error: Exception) -> EnvError:
    """Return ``error`` itself if it is an :class:`EnvError`, otherwise an :class:`InternalError` without details."""
    if isinstance(error, EnvError):
        return error
    return InternalError("The server failed to handle this request; nothing has changed. Its log names the cause.")
