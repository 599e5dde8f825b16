"""Render the example answers of an episode for the OpenAPI document from the code.

    python -m bench.render_examples

Writes dataselect_env/server/examples.json; a test compares the two. The answers are stored because playing an episode
would load scikit-learn when the server starts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.models import DEFAULT_REWARD_MODE, Action, Reply
from dataselect_env.core.receipts import GraderReply
from dataselect_env.core.tasks import DYNAMICS_VERSION
from dataselect_env.core.validation import WireModel
from dataselect_env.server import episode_views, pool_view
from dataselect_env.server.openapi import EPISODE_EXAMPLES
from dataselect_env.server.store.base import EpisodeHeader, EpisodePage, ListedEpisode, StoredEpisode, StoredStep

BATCH = Action.select(20, uncertainty=0.2, diversity=0.5, random=0.3)


def answers() -> Iterator[WireModel]:
    """Yield an example of each answer about an episode: state, reply, grade and views."""
    header = EpisodeHeader(
        episode_id="my-episode-1",
        transport="http",
        task_id="medium",
        seed=7,
        reward_mode=DEFAULT_REWARD_MODE,
        dynamics_version=DYNAMICS_VERSION,
        started_at="2026-11-28T02:00:00.000+00:00",
    )
    env = DataSelectEnv()
    env.reset(task_id=header.task_id, seed=header.seed, episode_id=header.episode_id)
    bought = stored(env.step(BATCH))
    yield env.state
    last = env.step(Action.stop())
    assert last.info is not None  # noqa: S101  (it is a step's reply)
    assert last.info.grade is not None  # noqa: S101  (the last one)
    yield last
    yield GraderReply(episode_id=last.episode_id, task_id=last.task_id, **last.info.grade.model_dump())
    episode = StoredEpisode(header, (bought,), last.info.grade)
    yield pool_view.view(episode, points=False)
    yield episode_views.view(episode)
    summary = ListedEpisode(header, bought.bought, (bought.performance,), last.info.grade)
    yield episode_views.listed(EpisodePage((summary,), following=None))


def stored(reply: Reply) -> StoredStep:
    """Return the step that buys ``BATCH`` as a store keeps it."""
    assert reply.info is not None  # noqa: S101  (it is a step's reply)
    performance = reply.observation.current_performance
    return StoredStep(BATCH, reply.info.batch_size, reply.info.mislabelled or 0, performance, reply.reward or 0.0)


def render() -> str:
    """Return the text of the file."""
    examples = {type(answer).__name__: answer.model_dump(mode="json") for answer in answers()}
    return json.dumps(examples, indent=1) + "\n"


def main() -> None:
    Path(EPISODE_EXAMPLES).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
