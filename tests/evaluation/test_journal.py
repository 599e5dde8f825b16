"""How numbers are rounded in reports, and what a journal of another run is refused for."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataselect_env.evaluation.journal import Journal
from dataselect_env.evaluation.ladder import Row, rounded
from dataselect_env.evaluation.line_file import JournalError
from dataselect_env.evaluation.records import Host
from tests.helpers.recording import served


def test_rounded_keeps_everything_but_digits() -> None:
    assert rounded({"a": 1 / 3, "b": [2, None, "x", 1e-9 / 3], "c": True}) == {
        "a": 0.333333,
        "b": (2, None, "x", 3.33333e-10),
        "c": True,
    }


def test_every_field_of_a_row_is_described() -> None:
    assert [name for name, field in Row.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (None, "server http://host \\(now missing\\), agent me"),
        (Host(url="http://other", agent="me", sealed=True), "server http://host \\(now http://other\\)"),
        (Host(url="http://host", agent="you", sealed=True), "agent me \\(now you\\)"),
        (Host(url="http://host", agent="me"), "sealed True \\(now False\\)"),
    ],
)
def test_episodes_of_another_server_or_agent_are_refused(tmp_path: Path, host: Host | None, words: str) -> None:
    header, records = served("random")
    with Journal(tmp_path / "run.jsonl", header) as journal:
        journal.add(records)
    with Journal(tmp_path / "run.jsonl", header) as journal:
        assert list(journal.records.values()) == records
    with pytest.raises(JournalError, match=f"run.jsonl is of another run: {words}"):
        Journal(tmp_path / "run.jsonl", header.model_copy(update={"host": host}))
