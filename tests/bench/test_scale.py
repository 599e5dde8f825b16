"""bench/scale: several servers behind nginx, one of which is killed, and the page."""

from __future__ import annotations

import asyncio
import random
import shutil

import pytest

from bench.reliability.ledger import Ledger
from bench.reliability.scripts import play_alone
from bench.scale import faults, page
from bench.scale.clients import Crowd
from bench.scale.cluster import running_cluster
from tests.helpers.postgres import Postgres

has_nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def test_the_page_is_what_the_results_give() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.rendered(text, page.load()) == text


def test_nothing_was_lost_when_it_was_measured() -> None:
    results = page.load()["faults"]
    assert results["problems"] == 0
    assert set(results["stages"]) == set(faults.EVENTS)
    assert results["counts"]["steps acknowledged"] > 1_000


@pytest.mark.slow
@pytest.mark.skipif(not has_nginx, reason="nginx is not installed")
def test_a_killed_server_loses_nothing_and_episodes_move_to_another(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "SECONDS", 0.5)
    name = "a server is killed"
    monkeypatch.setattr(faults, "EVENTS", {name: faults.EVENTS[name]})
    book = Ledger(random.Random(2), 0)
    with running_cluster(2) as cluster:
        crowd = Crowd(cluster, book)
        stages = asyncio.run(faults.play(cluster, crowd, sockets=2, seats=3))
        alone = {name: play_alone(entry.script) for name, entry in book.touched.items()}
        copy = asyncio.run(faults.read_all(cluster.url, list(book.touched)))
    assert crowd.problems + book.check(copy, alone) == []
    assert stages[name]["acknowledged meanwhile"] > 0
    assert book.counts["steps acknowledged"] > 10


@pytest.mark.slow
def test_a_step_that_is_missing_is_reported(postgres: Postgres) -> None:
    book = Ledger(random.Random(2), 0)
    entry = book.open("http")
    book.send(entry)
    alone = play_alone(entry.script)
    book.answered(entry, alone[0])
    copy = asyncio.run(faults.read_all(postgres.new_url(), [entry.script.episode_id]))
    assert book.check(copy, {entry.script.episode_id: alone}) == ["http-1: acknowledged and lost"]
