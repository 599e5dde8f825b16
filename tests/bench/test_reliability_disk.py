"""bench/reliability/disk: the store cannot grow, clients are told, nothing is lost, and it goes on with room again."""

from pathlib import Path

import pytest

from bench.reliability import disk
from tests.helpers.serving import running_server

pytestmark = pytest.mark.slow


def test_a_store_that_cannot_grow_costs_nothing(tmp_path: Path) -> None:
    counts, problems = disk.by_limit(tmp_path)
    assert problems == []
    assert counts["steps played on"] > 10


def test_a_disk_that_does_not_fill_would_be_noticed() -> None:
    with running_server() as server, disk.visit(server) as here:
        disk.endure(here, fill=lambda: None, empty=lambda: None)
    assert any("http step on a full disk: None" in line for line in here.problems)
    assert any("status of a reset on a full disk: 200" in line for line in here.problems)
