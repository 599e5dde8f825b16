"""Views of stored episodes for people who watch and compare agents: lists, single episodes and their traces.

A view shows what the agent was told, and nothing more: the observations, audits and reward terms of its replies. They
come from a replay of the stored actions. Where an episode cannot be replayed (other dynamics, another definition of its
task), the view has the numbers of the store alone.
"""

from __future__ import annotations

import csv
import io
import json
import math
from functools import partial
from typing import Any, Literal

from pydantic import Field

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import DynamicsMismatch, UnknownTask
from dataselect_env.core.models import GradeBreakdown, ObservationFields, RewardMode, StepInfo
from dataselect_env.core.problem import Problem
from dataselect_env.core.tasks import DYNAMICS_VERSION, get_task
from dataselect_env.core.validation import WireModel
from dataselect_env.server.replay import rebuild
from dataselect_env.server.store.base import (
    STORED_ACTION_FIELDS,
    EpisodeFilter,
    EpisodeHeader,
    EpisodePage,
    EpisodeStore,
    ListedEpisode,
    StoredEpisode,
    Transport,
)
from dataselect_env.server.threads import SHOW, Once

TraceFormat = Literal["jsonl", "csv"]
MOST_LISTED = 100
"""Most episodes in one response."""
MOST_SAMPLED = 60
"""Most performances of an episode in a list, enough for a small picture."""


class EpisodeSummary(WireModel):
    """An episode in a list."""

    episode_id: str = Field(description="Id of the episode.")
    task_id: str = Field(description="Task of the episode.")
    seed: int | None = Field(description="Seed of the episode; null on the sealed split.")
    split: str | None = Field(description="Split that the seed belongs to; null if it belongs to none.")
    index: int | None = Field(description="Index in the sealed split; null on the other splits.")
    agent: str | None = Field(description="Name of the agent that plays it; null if it gave none.")
    started_at: str = Field(description="Start of the episode in UTC, ISO 8601.")
    transport: Transport = Field(description="Transport over which it was started.")
    reward_mode: RewardMode = Field(description="Reward mode of the episode.")
    step_count: int = Field(ge=0, description="Actions so far.")
    bought: int = Field(ge=0, description="Samples bought so far.")
    done: bool = Field(description="Whether the episode is over.")
    score: float | None = Field(description="Grade of the episode; null while it runs.")
    passed: bool | None = Field(description="Whether the task's success criteria hold; null while it runs.")
    performances: list[float] = Field(
        description=f"Performance after each step; of an episode of more than {MOST_SAMPLED} steps, evenly spaced ones."
    )


class EpisodeList(WireModel):
    """A part of the list of episodes, most recently started first."""

    episodes: list[EpisodeSummary] = Field(description="May be fewer than requested, also before the end of the list.")
    following: int | None = Field(description="Value of `before` for the next part; null at the end of the list.")


class PlayedStep(WireModel):
    """An action of an agent, and what it was told after it."""

    step: int = Field(ge=0, description="Actions so far, with this one; 0 is the reset.")
    action: dict[str, Any] | None = Field(description="The action, as in a request to /step; null for the reset.")
    performance: float = Field(ge=0, le=1, description="1 / (1 + log loss) on the validation split.")
    reward: float | None = Field(description="Reward of the step; null for the reset.")
    bought: int = Field(ge=0, description="Samples bought in this step.")
    mislabelled: int | None = Field(
        description="How many of them have a wrong label; null if nobody audits the batches."
    )
    done: bool = Field(description="Whether the step ended the episode.")
    observation: ObservationFields | None = Field(description="As in the reply; null if it cannot be replayed.")
    info: StepInfo | None = Field(description="As in the reply; null for the reset and if it cannot be replayed.")


class EpisodeView(EpisodeSummary):
    """An episode with its steps so far."""

    dynamics_version: int = Field(ge=1, description="Version of the dynamics under which it was played.")
    problem: Problem | None = Field(description="The problem, as in the reply to the reset.")
    steps: list[PlayedStep] = Field(description="One entry a step; the reset comes first if it can be replayed.")
    breakdown: GradeBreakdown | None = Field(description="Parts of the grade; null while the episode runs.")
    not_replayed: str | None = Field(description="Why observations and reward terms are missing; null if they are not.")


def listed(page: EpisodePage) -> EpisodeList:
    """Return a part of the list as it is shown."""
    summaries = [EpisodeSummary(**_summary(one)) for one in page.episodes]
    return EpisodeList(episodes=summaries, following=page.following)


def _summary(one: ListedEpisode) -> dict[str, Any]:
    header, grade = one.header, one.grade
    spacing = math.ceil(len(one.performances) / MOST_SAMPLED) or 1
    return {
        "episode_id": header.episode_id,
        "task_id": header.task_id,
        "seed": header.seed if header.key_id is None else None,
        "split": header.split,
        "index": None if header.key_id is None else header.seed,
        "agent": header.agent,
        "started_at": header.started_at,
        "transport": header.transport,
        "reward_mode": header.reward_mode,
        "step_count": len(one.performances),
        "bought": one.bought,
        "done": grade is not None,
        "score": None if grade is None else grade.score,
        "passed": None if grade is None else grade.passed,
        "performances": list(one.performances[::-spacing][::-1]),  # with the last one
    }


def view(stored: StoredEpisode) -> EpisodeView:
    """Return what may be shown of a stored episode."""
    performances = tuple(step.performance for step in stored.steps)
    bought = sum(step.bought for step in stored.steps)
    problem, steps, not_replayed = None, _stored_steps(stored), None
    try:
        problem, steps = _replayed(stored, steps)
    except DynamicsMismatch as error:
        not_replayed = error.message
    except UnknownTask:
        not_replayed = "This server does not have the task of the episode."
    return EpisodeView(
        **_summary(ListedEpisode(stored.header, bought, performances, stored.grade)),
        dynamics_version=stored.header.dynamics_version,
        problem=problem,
        steps=steps,
        breakdown=None if stored.grade is None else stored.grade.breakdown,
        not_replayed=not_replayed,
    )


def _stored_steps(stored: StoredEpisode) -> list[PlayedStep]:
    """Return the steps as far as the store has them."""
    is_audited = _is_audited(stored.header)
    ends = stored.grade is not None
    return [
        PlayedStep(
            step=number,
            action=step.action.model_dump(include=STORED_ACTION_FIELDS),
            performance=step.performance,
            reward=step.reward,
            bought=step.bought,
            mislabelled=step.mislabelled if is_audited else None,
            done=ends and number == len(stored.steps),
            observation=None,
            info=None,
        )
        for number, step in enumerate(stored.steps, start=1)
    ]


def _is_audited(header: EpisodeHeader) -> bool:
    """Return whether the agent was told the mislabelled samples of its batches; False if only a replay can tell."""
    try:
        task = get_task(header.task_id)
    except UnknownTask:
        return False
    return task.audited and not task.drawn and task.digest == header.task_digest


def _replayed(stored: StoredEpisode, steps: list[PlayedStep]) -> tuple[Problem | None, list[PlayedStep]]:
    """Return the problem, and the steps with the reset, each with what a replay adds to it.

    Raises:
        DynamicsMismatch, UnknownTask: The episode cannot be replayed.
    """
    header = stored.header
    if header.key_id is not None:
        raise DynamicsMismatch("The episode is sealed: a replay could identify its data.")
    _, results = rebuild(stored)
    start = DataSelectEnv().reset(task_id=header.task_id, seed=header.seed)
    reset = PlayedStep(
        step=0,
        action=None,
        performance=start.observation.current_performance,
        reward=None,
        bought=0,
        mislabelled=None,
        done=False,
        observation=start.observation,
        info=None,
    )
    further = [
        step.model_copy(
            update={
                "observation": result.observation,
                "info": result.info,
                "mislabelled": result.info.mislabelled,
            }
        )
        for step, result in zip(steps, results, strict=True)
    ]
    return start.problem, [reset, *further]


# --- traces ---------------------------------------------------------------------------------------------------------


def trace(shown: EpisodeView, kind: TraceFormat) -> str:
    """Return the steps of an episode as text: one JSON object a line, or a table."""
    return _as_lines(shown) if kind == "jsonl" else _as_table(shown)


def _as_lines(shown: EpisodeView) -> str:
    of_episode = {"episode_id": shown.episode_id, "task_id": shown.task_id, "seed": shown.seed}
    return "".join(json.dumps(of_episode | step.model_dump(mode="json")) + "\n" for step in shown.steps)


def _as_table(shown: EpisodeView) -> str:
    rows = [_row(shown, step) for step in shown.steps]
    columns = dict.fromkeys(name for row in sorted(rows, key=len, reverse=True) for name in row)
    text = io.StringIO()
    table = csv.DictWriter(text, columns)
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def _row(shown: EpisodeView, step: PlayedStep) -> dict[str, Any]:
    """Return a step as plain values by column; no text of a client is among them."""
    row: dict[str, Any] = {"task_id": shown.task_id, "seed": shown.seed, "step": step.step}
    if step.action is not None:
        weights = step.action["strategy_weights"]
        row |= {"action_type": step.action["action_type"], "batch_size": step.action["batch_size"]}
        row |= {f"weight_{name}": weight for name, weight in weights.items()}
    row |= {"bought": step.bought, "mislabelled": step.mislabelled, "performance": step.performance}
    row |= {"reward": step.reward, "done": step.done}
    if step.observation is not None:
        row |= step.observation.model_dump(exclude={"current_performance", "metadata"})
    if step.info is not None:
        row |= {f"bought_by_{name}": count for name, count in step.info.bought_by.items()}
        row |= {f"reward_{name}": value for name, value in step.info.reward_terms.items()}
        row |= step.info.model_dump(include={"noise_ratio", "redundancy", "gain", "end_reason"})
    return row


class EpisodeViews:
    """The views of the episodes in a store, as JSON or text.

    Views that need a replay are made on a thread; simultaneous requests for one of them share it.
    """

    def __init__(self, store: EpisodeStore) -> None:
        self._store = store
        self._showing: Once[tuple[str, int, TraceFormat | None], str] = Once()

    async def recent(self, wanted: EpisodeFilter, limit: int, before: int | None) -> EpisodeList:
        """Return a part of the list of episodes."""
        return listed(await self._store.recent(wanted, limit, before))

    async def tag(self, episode_id: str) -> str:
        """Return a text that changes with every step of an episode. Raises EpisodeNotFound."""
        return f"{DYNAMICS_VERSION}-{await self._store.step_count(episode_id)}"

    async def show(self, episode_id: str, kind: TraceFormat | None = None) -> str:
        """Return an ``EpisodeView`` as JSON, or the trace of the episode.

        Raises:
            EpisodeNotFound: There is no such episode.
        """
        steps = await self._store.step_count(episode_id)  # a client that knows of a step gets a view with it
        return await self._showing.run((episode_id, steps, kind), partial(self._make, episode_id, kind))

    async def _make(self, episode_id: str, kind: TraceFormat | None) -> str:
        stored = await self._store.load(episode_id)
        return await SHOW.run(_render, stored, kind)


def _render(stored: StoredEpisode, kind: TraceFormat | None) -> str:
    shown = view(stored)
    return shown.model_dump_json() if kind is None else trace(shown, kind)
