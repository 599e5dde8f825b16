"""The log: a line for people or a JSON object for programs, each with the request and the episode that it is about."""

from __future__ import annotations

import json
import logging
import re
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

REQUEST_ID = re.compile(r"[\w.~:/+=-]{1,128}", re.ASCII)
"""What is taken over from a client; anything else gets an id of ours."""


class Trail:
    """What is being answered: a request or a WebSocket connection, and the episode that it is about.

    Args:
        request_id: What the client calls it, if it does.
    """

    __slots__ = ("episode_id", "request_id")

    def __init__(self, request_id: str | None = None) -> None:
        self.request_id: Final = request_id if request_id and REQUEST_ID.fullmatch(request_id) else uuid.uuid4().hex
        self.episode_id: str | None = None


trail: ContextVar[Trail | None] = ContextVar("trail", default=None)


def note_episode(episode_id: str | None) -> None:
    """Remember which episode is played, for what is logged about it."""
    current = trail.get()
    if current is not None and episode_id is not None:
        current.episode_id = episode_id


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record is about, apart from its message."""
    current = trail.get()
    about = {} if current is None else {"request_id": current.request_id, "episode_id": current.episode_id}
    told = {**about, **getattr(record, "facts", {})}
    return {name: value for name, value in told.items() if value is not None}


class TextFormatter(logging.Formatter):
    """Lines for people."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (the library's name)
        """Return the first line of a record."""
        moment = datetime.fromtimestamp(record.created).isoformat(" ", "milliseconds")
        tail = "".join(f" {name}={value}" for name, value in facts(record).items())
        return f"{moment} {record.levelname:7} {record.message}{tail}"


class JSONFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON: time, level, logger, message, what it is about, and an exception's traceback."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **facts(record),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


class WithoutHandshakes(logging.Filter):
    """Drops uvicorn's line about a handshake, which has the query string in it; ours says the same and more."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged."""
        return not str(record.msg).startswith('%s - "WebSocket')


def config(log_format: str, log_level: str) -> dict[str, Any]:
    """Return the configuration of the log, for ``logging.config.dictConfig`` and for uvicorn.

    Args:
        log_format: ``text`` or ``json``.
        log_level: Lowest level that is logged.
    """
    formatter = JSONFormatter if log_format == "json" else TextFormatter
    logger = {"handlers": ["stderr"], "level": log_level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": formatter}},
        "filters": {"without_handshakes": {"()": WithoutHandshakes}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "chosen", "filters": ["without_handshakes"]}
        },
        "loggers": {"uvicorn": logger, "dataselect_env": logger, "py.warnings": logger},
    }
