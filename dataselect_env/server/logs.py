"""Logging as text or JSON lines, each with the ids of the request and the episode."""

from __future__ import annotations

import json
import logging
import re
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

REQUEST_ID = re.compile(r"[\w.~:/+=-]{1,128}", re.ASCII)
"""Request ids that are accepted from clients; any other is replaced."""
PLAIN = re.compile(r"[\w.,~:/+@%-]+", re.ASCII)
"""Values that a line of text shows as they are; others are quoted, so that none can pass for further values."""
CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
"""Control characters, line breaks among them, as a line of text shows them."""


class RequestContext:
    """Ids of the request or WebSocket connection that is being served.

    Args:
        request_id: The client's id of the request, if it sent one.
    """

    __slots__ = ("episode_id", "request_id")

    def __init__(self, request_id: str | None = None) -> None:
        self.request_id: Final = request_id if request_id and REQUEST_ID.fullmatch(request_id) else uuid.uuid4().hex
        self.episode_id: str | None = None


request_context: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def note_episode(episode_id: str | None) -> None:
    """Set the episode of the current request, for its lines in the log."""
    current = request_context.get()
    if current is not None and episode_id is not None:
        current.episode_id = episode_id


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """Return the named values of a record: ids of its request and episode, and those passed as ``facts``."""
    current = request_context.get()
    ids = {} if current is None else {"request_id": current.request_id, "episode_id": current.episode_id}
    named = {**ids, **getattr(record, "facts", {})}
    return {name: value for name, value in named.items() if value is not None}


class TextFormatter(logging.Formatter):
    """Formats a record as a line of text."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (the library's name)
        """Return the first line of a record."""
        moment = datetime.fromtimestamp(record.created).isoformat(" ", "milliseconds")
        tail = "".join(f" {name}={_quoted(value)}" for name, value in facts(record).items())
        return f"{moment} {record.levelname:7} {record.message.translate(CONTROL)}{tail}"


def _quoted(value: object) -> str:
    text = str(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text)


class JSONFormatter(logging.Formatter):
    """Formats a record as a JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON: time, level, logger, message, facts and traceback."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **facts(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


HANDSHAKES = '%s - "WebSocket'
"""Start of uvicorn's lines about handshakes, which contain the query string; the middleware logs handshakes too."""
CLIENT_FAULTS = (
    "Invalid HTTP request received",
    "Unsupported upgrade request",
    "Invalid UTF-8 sequence received from client",
    "opening handshake failed",
    "ASGI callable returned without completing handshake",
)
"""Starts of lines that uvicorn and websockets log as warnings or errors, although the fault is the client's."""


class LibraryLines(logging.Filter):
    """Corrects what uvicorn logs: no line about handshakes, and faults of clients at level info, without traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged."""
        text = str(record.msg)
        if text.startswith(CLIENT_FAULTS):
            record.levelno, record.levelname, record.exc_info = logging.INFO, "INFO", None
            return logging.getLogger(record.name).isEnabledFor(logging.INFO)
        return not text.startswith(HANDSHAKES)


def server_level(log_level: str) -> str:
    """Return the level of uvicorn's own lines: at level debug they show all headers of a handshake, the token too."""
    return "info" if log_level == "debug" else log_level


def config(log_format: str, log_level: str) -> dict[str, Any]:
    """Return the logging configuration, for ``logging.config.dictConfig`` and uvicorn.

    Args:
        log_format: ``text`` or ``json``.
        log_level: Lowest level that is logged, in lower case.
    """
    formatter = JSONFormatter if log_format == "json" else TextFormatter
    logger = {"handlers": ["stderr"], "level": log_level.upper(), "propagate": False}
    of_server = {**logger, "level": server_level(log_level).upper()}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": formatter}},
        "filters": {"library_lines": {"()": LibraryLines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen", "filters": ["library_lines"]}},
        "loggers": {"uvicorn": of_server, "dataselect_env": logger, "py.warnings": logger},
    }
