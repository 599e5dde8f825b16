"""What a caller can do wrong: one vocabulary for every transport.

Each class is one mistake. It knows its ``code`` (stable, for programs), its HTTP ``status`` and carries a sentence for
people. Both transports answer with :meth:`EnvError.body`; nothing else ever describes an error to a client.
"""

from __future__ import annotations

from typing import ClassVar


class EnvError(Exception):
    """Base of everything that a caller can do wrong; raise a subclass.

    Args:
        message: A sentence that says what was wrong and what is allowed. It reaches the client: no paths, no internals.
        field: Dotted name of the offending field, when there is one.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.headers: dict[str, str] = {}
        """What HTTP wants to be told beside the body."""

    def body(self) -> dict[str, str | None]:
        """Return the one error shape: ``code``, ``message`` and ``field``."""
        return {"code": self.code, "message": self.message, "field": self.field}


class InvalidJSON(EnvError):
    """The body or frame is not JSON."""

    code, status = "INVALID_JSON", 400


class UnknownType(EnvError):
    """A WebSocket message of a type that the protocol does not have."""

    code, status = "UNKNOWN_TYPE", 400


class InvalidInput(EnvError):
    """A field is missing, unknown, of the wrong type or out of range."""

    code, status = "VALIDATION_ERROR", 422


class UnknownTask(EnvError):
    """No task of this name."""

    code, status = "UNKNOWN_TASK", 404


class UnknownSplit(EnvError):
    """No split of this name."""

    code, status = "UNKNOWN_SPLIT", 404


class TaskIndexOutOfRange(EnvError):
    """A split has no task at this index. OpenEnv's Task API answers 400 to it."""

    code, status = "TASK_INDEX_OUT_OF_RANGE", 400


class NoEpisode(EnvError):
    """A step or a look at the state before any reset."""

    code, status = "NO_EPISODE", 409


class EpisodeOver(EnvError):
    """A step after the end of the episode."""

    code, status = "EPISODE_OVER", 409


class EpisodeRunning(EnvError):
    """A grade was asked for before the end of the episode."""

    code, status = "EPISODE_RUNNING", 409


class EpisodeExists(EnvError):
    """The chosen ``episode_id`` is already in use."""

    code, status = "EPISODE_EXISTS", 409


class EpisodeConflict(EnvError):
    """Another process played the same step of the same episode first."""

    code, status = "EPISODE_CONFLICT", 409


class EpisodeNotFound(EnvError):
    """No episode of this id, or none that this transport may continue."""

    code, status = "EPISODE_NOT_FOUND", 404


class TaskMismatch(EnvError):
    """The episode exists, but was played on another task."""

    code, status = "TASK_MISMATCH", 409


class DynamicsMismatch(EnvError):
    """The episode was recorded under other dynamics and cannot be continued by these."""

    code, status = "DYNAMICS_MISMATCH", 409


class NotFound(EnvError):
    """No such route or environment."""

    code, status = "NOT_FOUND", 404


class MethodNotAllowed(EnvError):
    """The route exists, but not for this HTTP method."""

    code, status = "METHOD_NOT_ALLOWED", 405


class PayloadTooLarge(EnvError):
    """The request body is larger than the server reads."""

    code, status = "PAYLOAD_TOO_LARGE", 413


class RequestTimeout(EnvError):
    """A request's body did not arrive in time."""

    code, status = "REQUEST_TIMEOUT", 408


class SessionIdle(EnvError):
    """A WebSocket client was silent for too long; its place goes to another one."""

    code, status = "SESSION_IDLE", 408


class SessionExpired(EnvError):
    """A WebSocket session has lasted as long as one may."""

    code, status = "SESSION_EXPIRED", 408


class Unauthorized(EnvError):
    """The server wants a token, and there was none or a wrong one."""

    code, status = "UNAUTHORIZED", 401

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message, field=field)
        self.headers = {"WWW-Authenticate": "Bearer"}


class ForbiddenOrigin(EnvError):
    """The page that a browser shows belongs to another site, which may not use this server."""

    code, status = "FORBIDDEN_ORIGIN", 403


class TooManyRequests(EnvError):
    """A client asks more often than the server allows.

    Args:
        message: As above.
        field: As above.
        retry_after: Whole seconds after which it may ask again.
    """

    code, status = "TOO_MANY_REQUESTS", 429

    def __init__(self, message: str, *, field: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, field=field)
        self.headers = {"Retry-After": str(retry_after)}


class ServerStopping(EnvError):
    """The server has been told to stop and begins nothing new."""

    code, status = "SERVER_STOPPING", 503


class CapacityReached(EnvError):
    """The server already holds as many sessions as it may."""

    code, status = "CAPACITY_REACHED", 503


class SessionNotFound(EnvError):
    """No MCP session of this id, or no longer."""

    code, status = "SESSION_NOT_FOUND", 404


class StoreUnavailable(EnvError):
    """The episode store could not be read or written; the episode is as it was before the call."""

    code, status = "STORE_UNAVAILABLE", 503


class InternalError(EnvError):
    """A defect of the server. The cause goes to the log, never to the client."""

    code, status = "INTERNAL_ERROR", 500


def as_client_error(error: Exception) -> EnvError:
    """Return what a client may see of ``error``: itself if it is one of ours, nothing of it if it is a defect."""
    if isinstance(error, EnvError):
        return error
    return InternalError("The server failed at this request; nothing has changed. The operator finds why in the log.")
