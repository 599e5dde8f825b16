"""Views of episodes: what an agent was told, whatever its transport, and nothing that it was not told."""

from __future__ import annotations

import csv
import io
import json
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import DYNAMICS_VERSION, TASKS
from dataselect_env.server.episode_views import MOST_SAMPLED, listed, trace, view
from dataselect_env.server.store.base import EpisodeHeader, EpisodePage, ListedEpisode, StoredEpisode, StoredStep
from tests.helpers.actions import SCRIPT, select
from tests.helpers.owning import WINE, forgotten, offered
from tests.helpers.players import player

SEED = 20_300


def played(task_id: str, actions: list[dict[str, Any]], **changes: Any) -> tuple[StoredEpisode, list[Reply]]:
    """Play in process; return the episode as a store keeps it, and the replies."""
    env = DataSelectEnv()
    replies = [env.reset(task_id=task_id, seed=SEED, episode_id="one")]
    digest = TASKS[task_id].digest
    header = EpisodeHeader("one", "http", task_id, SEED, "shaped", DYNAMICS_VERSION, digest)
    steps = []
    for action in actions:
        reply = env.step(action)
        replies.append(reply)
        assert reply.info is not None
        assert reply.reward is not None
        performance, mislabelled = reply.observation.current_performance, reply.info.mislabelled or 0
        step = StoredStep(Action(**action), reply.info.batch_size, mislabelled, performance, reply.reward)
        steps.append(step)
        if reply.done:
            break
    grade = None if reply.info is None else reply.info.grade
    return StoredEpisode(replace(header, **changes), tuple(steps), grade), replies


@pytest.mark.parametrize("count", [0, 1, len(SCRIPT)])
@pytest.mark.parametrize("task_id", [*TASKS])
def test_a_view_has_what_the_replies_told(task_id: str, count: int) -> None:
    stored, replies = played(task_id, SCRIPT[:count]) if count else (unplayed(task_id), [first_reply(task_id)])
    shown = view(stored)
    assert shown.not_replayed is None
    assert shown.problem == replies[0].problem
    for step, reply in zip(shown.steps, replies, strict=True):
        assert (step.step, step.observation, step.info) == (reply.step, reply.observation, reply.info)
        assert (step.reward, step.done) == (reply.reward, reply.done)
        assert step.performance == reply.observation.current_performance
        assert (step.bought, step.mislabelled) == (
            (0, None) if reply.info is None else (reply.info.batch_size, reply.info.mislabelled)
        )
    assert [step.action for step in shown.steps[1:]] == SCRIPT[: len(replies) - 1]
    grade = stored.grade
    assert (shown.score, shown.passed, shown.breakdown) == (
        (None, None, None) if grade is None else (grade.score, grade.passed, grade.breakdown)
    )


def first_reply(task_id: str) -> Reply:
    return DataSelectEnv().reset(task_id=task_id, seed=SEED, episode_id="one")


def unplayed(task_id: str) -> StoredEpisode:
    digest = TASKS[task_id].digest
    return StoredEpisode(EpisodeHeader("one", "http", task_id, SEED, "shaped", DYNAMICS_VERSION, digest), (), None)


@pytest.mark.parametrize("transport", ["http", "websocket"])
def test_episodes_of_every_transport_are_shown(client: TestClient, transport: str) -> None:
    with ExitStack() as stack:
        one = stack.enter_context(player(transport, client))
        episode_id = one.reset(task_id="medium", seed=SEED)["episode_id"]
        replies = [one.step(action) for action in SCRIPT]
        shown = client.get(f"/episodes/{episode_id}").json()
        assert [step["info"] for step in shown["steps"][1:]] == [reply["info"] for reply in replies]
        (summary,) = client.get("/episodes", params={"transport": transport}).json()["episodes"]
    assert summary["episode_id"] == episode_id
    assert {name: shown[name] for name in summary} == summary
    assert summary["performances"] == [reply["observation"]["current_performance"] for reply in replies]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dynamics_version": DYNAMICS_VERSION - 1}, "under dynamics version"),
        ({"task_digest": "other"}, "another definition of its task"),
        ({"task_id": "gone"}, "does not have the task"),
    ],
)
def test_what_cannot_be_replayed_is_shown_as_far_as_the_store_has_it(changes: dict[str, Any], said: str) -> None:
    stored, replies = played("medium", SCRIPT)
    shown = view(replace(stored, header=replace(stored.header, **changes)))
    assert said in (shown.not_replayed or "")
    assert [step.performance for step in shown.steps] == [r.observation.current_performance for r in replies[1:]]
    assert all(step.observation is None and step.info is None for step in shown.steps)
    audits = [None if reply.info is None else reply.info.mislabelled for reply in replies[1:]]
    # where the definition of the task is another one, nobody knows whether the agent was told
    assert [step.mislabelled for step in shown.steps] == (audits if "dynamics_version" in changes else [None] * 5)
    assert shown.score == (stored.grade and stored.grade.score)


def test_an_audit_that_the_agent_did_not_get_is_not_shown() -> None:
    with forgotten():
        offered("secret", **{**WINE, "noise": {"unknown": 0.1}})
        stored, _ = played("secret", [select(10), select(5)])
        assert stored.steps[0].mislabelled == 0
        for one in (stored, replace(stored, header=replace(stored.header, dynamics_version=1))):
            assert [step.mislabelled for step in view(one).steps][-2:] == [None, None]


def test_a_list_samples_the_performances_of_long_episodes() -> None:
    header = EpisodeHeader("one", "http", "easy", SEED, "shaped", DYNAMICS_VERSION)
    for count in (0, 1, MOST_SAMPLED, MOST_SAMPLED + 1, 1_000):
        performances = tuple(place / 1_000 for place in range(count))
        page = EpisodePage((ListedEpisode(header, 10, performances, None),), 7)
        (summary,) = listed(page).episodes
        assert summary.step_count == count
        assert min(count, MOST_SAMPLED // 2) <= len(summary.performances) <= MOST_SAMPLED
        assert summary.performances[-1:] == list(performances[-1:])
        assert listed(page).following == 7


def test_a_trace_is_the_same_as_lines_and_as_a_table() -> None:
    stored, replies = played("medium", SCRIPT)
    shown = view(stored)
    lines = [json.loads(line) for line in trace(shown, "jsonl").splitlines()]
    rows = list(csv.DictReader(io.StringIO(trace(shown, "csv"))))
    assert len(lines) == len(rows) == len(replies)
    for line, row, reply in zip(lines, rows, replies, strict=True):
        told = json.loads(reply.model_dump_json())
        for name in ("episode_id", "task_id", "seed", "step", "observation", "reward", "done", "info"):
            assert line[name] == told[name]
        assert (int(row["step"]), row["seed"]) == (reply.step, str(SEED))
        assert float(row["noise_estimate"]) == reply.observation.noise_estimate
        if reply.info is not None:
            assert float(row["reward"]) == reply.reward
            assert float(row["reward_noise_penalty"] or 0) == reply.info.reward_terms.get("noise_penalty", 0)
            assert int(row["bought_by_random"]) == reply.info.bought_by["random"]
            assert float(row["weight_random"]) == line["action"]["strategy_weights"]["random"]
    assert "=1+1" not in trace(view(replace(stored, header=replace(stored.header, episode_id="=1+1"))), "csv")
