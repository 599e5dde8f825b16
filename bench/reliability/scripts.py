"""Seeded episodes for these scripts, and the expected replies, from the environment in process."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from multiprocessing import get_context
from typing import Any, get_args

from dataselect_env import DataSelectEnv
from dataselect_env.core.models import Action, RewardMode
from dataselect_env.core.tasks import SEED_LIMIT, TASKS
from dataselect_env.core.threads import cores
from dataselect_env.core.validation import parse

Reply = dict[str, Any]
PlayAlone = Callable[[Sequence["Script"]], Iterator[list[Reply]]]
STOPPED_EARLY = 0.3
"""Share of the episodes that end with a stop before budget and steps are used up."""


@dataclass(frozen=True)
class Script:
    """One episode with predetermined actions.

    Attributes:
        choices: Arguments of the reset, including ``episode_id``.
        actions: At least as many actions as the episode takes.
    """

    choices: dict[str, Any]
    actions: tuple[dict[str, Any], ...]

    @property
    def episode_id(self) -> str:
        """Id of the episode, chosen by the client."""
        return str(self.choices["episode_id"])


def draw_action(rng: random.Random) -> dict[str, Any]:
    """Return an action that buys a small batch with a random mix."""
    mix = {name: round(rng.random(), 3) for name in ("uncertainty", "diversity")}
    weights = {**mix, "random": rng.choice((0.001, 0.5, 1))}  # weights of 0 alone would be refused
    return {"action_type": "select_batch", "batch_size": rng.randrange(25), "strategy_weights": weights}


def draw(rng: random.Random, episode_id: str, *, seed: int | None = None, task_id: str | None = None) -> Script:
    """Draw a script; it ends with a stop, the budget or the number of steps."""
    task = TASKS[task_id or rng.choice(tuple(TASKS))]
    actions = [draw_action(rng) for _ in range(task.max_steps)]
    if rng.random() < STOPPED_EARLY:
        actions[rng.randrange(task.max_steps)]["action_type"] = "stop"
    choices = {
        "task_id": task.task_id,
        "seed": rng.randrange(SEED_LIMIT) if seed is None else seed,
        "reward_mode": rng.choice(get_args(RewardMode)),
        "episode_id": episode_id,
    }
    return Script(choices, tuple(actions))


def play_alone(script: Script) -> list[Reply]:
    """Return the replies of a script played in process, from the reset to the end of the episode."""
    env = DataSelectEnv()
    replies = [env.reset(**script.choices)]
    for action in script.actions:
        replies.append(env.step(parse(Action, action)))
        if replies[-1].done:
            break
    return [json.loads(reply.model_dump_json()) for reply in replies]


@contextmanager
def players_alone(processes: int | None = None) -> Iterator[PlayAlone]:
    """Yield a function that plays scripts in process, on all cores, and yields their replies in order."""
    with ProcessPoolExecutor(processes or cores(), get_context("spawn")) as pool:
        yield partial(pool.map, play_alone, chunksize=8)


def differences(script: Script, served: Iterable[Reply | None], alone: list[Reply]) -> list[str]:
    """Return the differences between a server's replies and the expected ones, as sentences.

    Args:
        script: The episode.
        served: The server's replies in order; None for a reply that never reached the client.
        alone: The expected replies.
    """
    problems = []
    for number, (reply, right) in enumerate(zip_longest(served, alone)):
        if right is None:
            problems.append(f"{script.episode_id}: went on after its end")
        elif reply is not None and reply != right:
            names = ", ".join(name for name in right if reply.get(name) != right[name])
            problems.append(f"{script.episode_id}: reply {number} differs from the solo run in {names}")
    return problems
