"""Faults of a store's database: what a client gets to know of them, and what the log says.

A disk that is full fails each request of every client. The log has the first failure of each kind, then one line a
minute with their number, and one when the store works again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from dataselect_env.core.errors import (
    AttemptUsed,
    EnvError,
    EpisodeConflict,
    EpisodeExists,
    EpisodeNotFound,
    StoreUnavailable,
)

logger = logging.getLogger(__name__)

LINE_EVERY = 60.0
"""Seconds between lines about failures of a kind that has been logged."""
SETTLED = 10.0
"""Seconds without a failure after which a write shows that the store works again; before, failures may come and go."""


def exists() -> EpisodeExists:
    """Return the error of an id that is in use."""
    return EpisodeExists("episode_id: is already in use; choose another or leave it out", field="episode_id")


def attempt_used(agent: str) -> AttemptUsed:
    """Return the error of a sealed episode that an agent has started before."""
    return AttemptUsed(
        f"index: {agent} has started this episode before, and only the first attempt counts", field="index"
    )


def conflict() -> EpisodeConflict:
    """Return the error of a step that is in the store."""
    return EpisodeConflict(
        "Another request has just played this step of the episode; get the state and continue from there."
    )


def not_found() -> EpisodeNotFound:
    """Return the error of an id that is not in the store."""
    return EpisodeNotFound(
        "episode_id: there is no such episode, or it was removed when it had expired", field="episode_id"
    )


def unavailable() -> StoreUnavailable:
    """Return the error of a store that fails, and has not done what it was asked to do."""
    return StoreUnavailable("The episode store cannot be reached right now; nothing has changed, so try again.")


class Faults:
    """Converts errors of a database into errors for clients, and logs those that are not a client's fault.

    Args:
        errors: Base class of the errors.
        expected: Class of errors that are no defects, such as that of a full disk.
        refusal: Returns the error for the client where an error of the database is the client's fault, or else None.
        failure: Returns the error for the client for every other one.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        errors: type[Exception],
        expected: type[Exception],
        *,
        refusal: Callable[[Exception], EnvError | None] = lambda _: None,
        failure: Callable[[Exception], EnvError] = lambda _: unavailable(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._errors, self._expected = errors, expected
        self._refusal, self._failure = refusal, failure
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: set[str] = set()  # logged since the store last worked
        self._failures = 0  # since then
        self._logged = self._failed = 0.0  # when there was the last line, and the last failure
        self._reading, self._writing = _Block(self, writes=False), _Block(self, writes=True)

    def converted(self, *, writes: bool = False) -> AbstractContextManager[None]:
        """Convert the errors of a block, which reads the store or writes to it.

        Raises:
            EnvError: The error for the client.
        """
        return self._writing if writes else self._reading

    def end(self, error: BaseException | None, *, writes: bool) -> None:
        """End a block: raise the error for the client, or note that a write worked."""
        if isinstance(error, self._errors):
            refused = self._refusal(error)
            if refused is None:
                self._log(error)
                refused = self._failure(error)
            raise refused from error
        # Reads often work all the time.
        if error is None and writes and self._failures and self._clock() >= self._failed + SETTLED:
            self._note_recovery()

    def _log(self, error: Exception) -> None:
        kind = f"{type(error).__name__} {getattr(error, 'sqlite_errorname', '')}"
        with self._lock:
            self._failures += 1
            now = self._failed = self._clock()
            is_new = kind not in self._kinds
            if not is_new and now < self._logged + LINE_EVERY:
                return
            self._kinds.add(kind)
            self._logged = now
        is_expected = isinstance(error, self._expected)
        how_often = "" if self._failures == 1 else f"; {self._failures} failures since it last worked"
        text = " ".join(str(error).split())  # some have several lines
        logger.error("the episode store failed: %s%s", text, how_often, exc_info=is_new and not is_expected)

    def _note_recovery(self) -> None:
        with self._lock:
            failures, self._failures = self._failures, 0
            self._kinds.clear()
        logger.warning("the episode store works again, after %d failures", failures)


class _Block(AbstractContextManager[None]):
    """A block whose errors are converted. It keeps nothing of one use, so that all blocks share it.

    Every step enters one, and a generator would take a microsecond.
    """

    def __init__(self, faults: Faults, *, writes: bool) -> None:
        self._faults, self._writes = faults, writes

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._faults.end(error, writes=self._writes)
