"""What the log says of a store that fails, once and over and over."""

from __future__ import annotations

import logging
import sqlite3

import pytest

from dataselect_env.core.errors import StoreUnavailable
from dataselect_env.server.store.faults import LINE_EVERY, SETTLED, Faults

FULL = sqlite3.OperationalError("database or disk is full")


class Clock:
    """Seconds that pass when a test says so."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def fail(faults: Faults, error: sqlite3.Error) -> None:
    with pytest.raises(StoreUnavailable), faults.converted(writes=True):
        raise error


def write(faults: Faults) -> None:
    with faults.converted(writes=True):
        pass


def test_a_full_disk_is_one_line_a_minute_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    faults = Faults(sqlite3.Error, sqlite3.OperationalError, clock=clock)
    for _ in range(1_000):
        fail(faults, FULL)
    assert [record.getMessage() for record in caplog.records] == ["the episode store failed: database or disk is full"]
    clock.now += LINE_EVERY
    for _ in range(1_000):
        fail(faults, FULL)
    assert len(caplog.records) == 2
    assert "1001 failures since it last worked" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_defect_shows_its_traceback_once(caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults(sqlite3.Error, sqlite3.OperationalError, clock=Clock())
    for _ in range(10):
        fail(faults, sqlite3.ProgrammingError("You did not supply a value for binding 1."))
    assert caplog.text.count("Traceback") == 1
    fail(faults, FULL)  # another kind has its own line
    assert len(caplog.records) == 2


def test_it_says_when_the_store_works_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    faults = Faults(sqlite3.Error, sqlite3.OperationalError, clock=clock)
    for _ in range(3):  # failures come and go
        fail(faults, FULL)
        write(faults)
    with faults.converted():
        pass  # a read says nothing of writes
    assert len(caplog.records) == 1
    clock.now += SETTLED
    with faults.converted():
        pass
    assert len(caplog.records) == 1
    write(faults)
    write(faults)
    assert caplog.messages[1:] == ["the episode store works again, after 3 failures"]
    assert caplog.records[-1].levelno == logging.WARNING
    fail(faults, FULL)
    assert caplog.messages[-1] == caplog.messages[0]
