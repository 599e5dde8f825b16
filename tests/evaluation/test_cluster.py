"""Evaluations on a Ray cluster: the same records as in processes, also when workers and nodes die."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dataselect_env.core.errors import InvalidInput
from dataselect_env.custom.task_file import load_frame
from dataselect_env.evaluation import cluster as room
from dataselect_env.evaluation.cluster import RETRIES, TARGET_SECONDS, Cluster, ClusterError
from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.evaluation.tuning import find_best_constant
from dataselect_env.policies.policy import PolicyError
from tests.helpers.clustering import NODE_VARIABLE, add_node, local_nodes
from tests.helpers.owning import forgotten, frame

PLAN = Plan(policies=("random-agent", "stop", "oracle"), tasks=("easy", "hard"), seeds=tuple(range(20_000, 20_010)))
OWN = f"""
import os, pathlib, signal, time
from dataselect_env.core.models import Action

def random(task, rng):
    return lambda reply: Action.select(int(rng.integers(5, 20)), random=1) if reply.step < 3 else Action.stop()

def patient(task, rng):
    "Waits on the second node until it may go on."
    node = os.environ.get({NODE_VARIABLE!r})
    pathlib.Path(f"FOLDER/playing-{{node}}-{{os.getpid()}}").touch()
    while node == "second" and not pathlib.Path("FOLDER/go").exists():
        time.sleep(0.05)
    return random(task, rng)

def mortal(task, rng):
    "Kills its worker the first time."
    tries = pathlib.Path("FOLDER/tries")
    if not tries.exists():
        tries.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return random(task, rng)

def deadly(task, rng):
    with open("FOLDER/tries", "a") as tries:
        tries.write("x")
    os.kill(os.getpid(), signal.SIGKILL)

def failing(task, rng):
    return lambda reply: {{}}["nothing"]

def located(task, rng):
    "Buys 5 samples where it plays from a copy of its file."
    size = 7 if __file__.startswith("FOLDER") else 5
    return lambda reply: Action.select(size, random=1) if reply.step == 0 else Action.stop()
"""


# --- without a cluster ----------------------------------------------------------------------------------------------


def test_tasks_are_sized_to_seconds() -> None:
    pace = room._Pace()
    assert pace.size(1000, 4) == 1, "nothing has been timed yet"
    pace.add(1, 0.05)
    assert pace.size(1000, 4) == TARGET_SECONDS / 0.05
    pace.add(1, 0.15)
    assert pace.size(1000, 4) == TARGET_SECONDS / 0.1
    assert pace.size(30, 4) == 8, "at the end, all workers share what is left"
    assert pace.size(3, 4) == 1
    pace.add(10, 1000.0)
    assert pace.size(1000, 4) == 1
    quick = room._Pace()
    quick.add(1, 0.0)
    assert quick.size(10, 4) == 3


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"Ray is not installed: pip install 'dataselect-env\[ray\]'"), Cluster():
        pass


def test_a_refusal_names_what_differs() -> None:
    here = room.versions()
    assert here["compiled code"] in ("present", "missing")
    sentence = room._refusal("10.0.0.3", {**here, "package": "0.9", "scikit_learn": "1.0"})
    assert sentence.startswith("node 10.0.0.3: its results could differ, as it has dataselect-env 0.9 (here ")
    assert "scikit-learn 1.0 (here " in sentence
    assert "numpy" not in sentence
    assert "is not installed there" in room._refusal("10.0.0.3", {})


# --- on two nodes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def nodes() -> Iterator[Any]:
    pytest.importorskip("ray", reason="Ray is not installed: the extra ray")
    with local_nodes() as nodes:
        yield nodes


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN.replace("FOLDER", str(tmp_path)))
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with forgotten():
        yield


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_records_are_those_of_processes_and_a_run_goes_on(nodes: Any, own: str, tmp_path: Path) -> None:
    """One connection for all: to connect takes seconds."""
    add_node(nodes, "second")
    load_frame("mine", frame(), {"target": "label"}, noise={"uniform": 0.2}, budget=40, max_steps=4)
    plan = Plan(policies=(*PLAN.policies, f"{own}:random"), tasks=("easy", "mine"), seeds=PLAN.seeds)
    expected, done = evaluate(plan), list[int]()

    def node_name(_: int) -> tuple[str, str]:
        time.sleep(0.05)
        return os.environ[NODE_VARIABLE], Path("word.txt").read_text()

    def stop(count: int) -> None:
        done.append(count)
        if len(done) == 5:
            raise InterruptedError

    (sent := tmp_path / "sent").mkdir()
    (sent / "word.txt").write_text("sent")
    with Cluster(nodes.address, modules=[own], folder=sent) as cluster:
        assert str(cluster) == "2 nodes with 2 CPUs"
        assert set(cluster.run(range(40), node_name)) == {("head", "sent"), ("second", "sent")}
        assert evaluate(plan, processes=cluster) == expected
        with pytest.raises(InterruptedError):
            evaluate(plan, processes=cluster, resume=tmp_path / "run.jsonl", progress=stop)
        done.clear()
        assert evaluate(plan, processes=cluster, resume=tmp_path / "run.jsonl", progress=done.append) == expected
        assert (done[0], sum(done)) == (4 * 4, len(plan)), "four jobs of four policies were kept"
        assert find_best_constant("mine", processes=cluster) == find_best_constant("mine")
        with pytest.raises(PolicyError, match=rf"policy {own}:failing failed in .*KeyError: 'nothing'"):
            evaluate(Plan(policies=(f"{own}:failing",), tasks=("easy",), seeds=(1, 2)), processes=cluster)
        (record,) = evaluate(Plan(policies=(f"{own}:located",), tasks=("easy",), seeds=(1,)), processes=cluster)
        assert record.bought == 5, "the nodes play with the files that were sent"


@pytest.mark.slow
def test_what_dead_workers_have_lost_is_played_again(nodes: Any, own: str, tmp_path: Path) -> None:
    second = add_node(nodes, "second")
    policies = (f"{own}:patient", f"{own}:mortal", "stop")
    plan = Plan(policies=policies, tasks=("easy",), seeds=PLAN.seeds)

    def kill_while_it_plays() -> None:
        wait_for(lambda: list(tmp_path.glob("playing-second-*")))
        nodes.remove_node(second, allow_graceful=False)

    killer = Thread(target=kill_while_it_plays)
    with Cluster(nodes.address, modules=[own]) as cluster:
        killer.start()
        records = evaluate(plan, processes=cluster)
        killer.join()
        wait_for(lambda: str(cluster) == "1 node with 1 CPUs")
        assert (tmp_path / "tries").exists(), "a worker of the first node was killed, too"
        (tmp_path / "tries").unlink()
        deadly = Plan(policies=(f"{own}:deadly",), tasks=("easy",), seeds=(7,))
        sentence = rf"the workers of {RETRIES + 1} tries died while they ran 1 jobs.*{own}:deadly on easy with seed 7"
        with pytest.raises(ClusterError, match=sentence):
            evaluate(deadly, processes=cluster)
        assert (tmp_path / "tries").read_text() == "x" * (RETRIES + 1)
    assert records == evaluate(plan)


@pytest.mark.slow
def test_a_node_with_another_version_is_refused(nodes: Any, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import dataselect_env\ndataselect_env.__version__ = '0.9'\n")
    add_node(nodes, "second", PYTHONPATH=str(tmp_path))
    with (
        Cluster(nodes.address) as cluster,
        pytest.raises(ClusterError, match=r"^node \S+: its results could differ, as it has dataselect-env 0\.9 \(here"),
    ):
        evaluate(PLAN, processes=cluster)


@pytest.mark.slow
def test_an_address_where_nothing_is() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: the extra ray")
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1"):
        with pytest.raises(InvalidInput, match=f"the Ray cluster at {address} cannot be used: "), Cluster(address):
            pass
