"""How many connections there may be, and what the log says when there are more."""

from __future__ import annotations

import asyncio
import errno

import pytest

from dataselect_env.server import admission
from dataselect_env.server.admission import LINE_EVERY, RESERVED, Admission
from dataselect_env.server.settings import Settings


def test_a_line_a_minute_says_that_connections_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    now = 5.0
    doors = Admission(2, lambda: now)
    assert doors.admits(1)
    assert caplog.messages == []
    assert not any(doors.admits(2) for _ in range(1_000))
    assert len(caplog.messages) == 1
    now += LINE_EVERY
    assert not doors.admits(3)
    assert [message[:13] for message in caplog.messages] == ["2 connections", "3 connections"]


def test_connections_that_cannot_be_accepted_are_one_line_and_other_errors_as_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    doors = Admission(2)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(doors.handle_error)
    for _ in range(1_000):
        loop.call_exception_handler({"message": "accept", "exception": OSError(errno.EMFILE, "Too many open files")})
    assert caplog.messages == ["a connection cannot be accepted: no file descriptors are left"]
    loop.call_exception_handler({"message": "a defect", "exception": ZeroDivisionError()})
    assert "ZeroDivisionError" in caplog.text
    loop.close()


def test_some_file_descriptors_are_not_for_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    for soft, most in ((1_000, 1_000 - RESERVED), (100_000, 3_000), (resource.RLIM_INFINITY, 3_000), (10, 1)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert Admission.of(Settings(max_connections=3_000)).most == most
    monkeypatch.setattr(admission, "_file_descriptors", lambda: None)  # as on Windows
    assert Admission.of(Settings(max_connections=3_000)).most == 3_000
