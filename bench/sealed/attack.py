"""Attack open and sealed splits of a server, and compare with honest policies on the same episodes.

    python -m bench.sealed.attack --save

Every program plays over HTTP with legal actions and knows the whole package. Each agent plays 100 episodes of
``medium`` and of ``hard``, on the open test split and on the sealed one. Differences are paired by episode. Takes ten
minutes.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click
import numpy as np
from fastapi.testclient import TestClient

from bench.sealed import attacks, page
from dataselect_env.core.errors import EnvError
from dataselect_env.core.models import Action, Grade, Reply, RewardMode
from dataselect_env.core.tasks import SEALED, SPLITS, get_task
from dataselect_env.core.validation import parse
from dataselect_env.evaluation.rollout import final_grade, rollout
from dataselect_env.evaluation.statistics import difference, mean_interval
from dataselect_env.policies import get_policy
from dataselect_env.policies.policy import Policy
from dataselect_env.server.app import create_app
from dataselect_env.server.settings import Settings

TASKS = ("medium", "hard")
EPISODES = 100
PROBE = Action.select(5, uncertainty=1)
"""First action of an attack that has to find out the draws; ``probing`` starts with it as well."""
TRIED = ("ppo", "probing", "best-constant", "random", "constant:20:diversity=1")
"""Policies that an attack plays an episode with before it plays as the best of them did."""


class Refused(EnvError):
    """The server refused a request."""


@dataclass
class Door:
    """A server seen by one agent, as an environment that the policies play on.

    Attributes:
        client: Client of the server.
        agent: Name of the agent.
        place: What the next reset asks for, beside task and agent.
        played: Actions since the last reset.
    """

    client: TestClient
    agent: str
    place: dict[str, Any] = field(default_factory=dict)
    played: list[Action] = field(default_factory=list)
    _episode: str = ""

    def reset(self, *, task_id: str, seed: int | None = None, reward_mode: RewardMode = "shaped") -> Reply:
        """Start the episode at ``place``; a seed counts on the open split only."""
        data = {"task_id": task_id, "agent": self.agent, "reward_mode": reward_mode, **self.place}
        if "split" not in self.place:
            data["seed"] = seed
        reply = self._ask("/reset", data)
        self._episode, self.played = reply.episode_id, []
        return reply

    def step(self, action: Action, /) -> Reply:
        """Play one action."""
        self.played.append(action)
        return self._ask("/step", {**action.model_dump(exclude={"metadata"}), "episode_id": self._episode})

    def _ask(self, path: str, data: dict[str, Any]) -> Reply:
        answer = self.client.post(path, json=data)
        if answer.status_code != 200:
            raise Refused(f"{answer.json()['code']}: {answer.json()['message']}")
        return parse(Reply, answer.json())


Player = Callable[[Door, str, int], Grade]
"""Plays the episode of a task at a seed, or at an index if the door leads to the sealed split; returns the grade."""


def finish(door: Door, plan: attacks.Plan, reply: Reply) -> Grade:
    """Play a plan to the end of the episode and return the grade."""
    for action in plan:
        if reply.done:
            break
        reply = door.step(action)
    return final_grade(reply if reply.done else door.step(Action.stop()))


def honest(name: str) -> Player:
    """Return the player of a policy of the package."""

    def play(door: Door, task_id: str, place: int) -> Grade:
        return rollout(get_policy(name), task_id, place, env=door).grade

    return play


def lookup(door: Door, task_id: str, place: int) -> Grade:
    """Rebuild the episode from the seed in the first reply; where there is none, play honestly."""
    first = door.reset(task_id=task_id, seed=place)
    seed = attacks.told_seed(first)
    return _play_on(door, task_id, first) if seed is None else finish(door, attacks.best_plan(task_id, seed), first)


def fingerprint(door: Door, task_id: str, place: int) -> Grade:
    """Find the data set from the first observation and the seed from the answer to a probe; never read a seed."""
    first = door.reset(task_id=task_id, seed=place)
    numbers = attacks.fingerprinted_numbers(first)
    if not numbers:
        return _play_on(door, task_id, first)
    reply = door.step(PROBE)
    seed = attacks.agreeing_seed(task_id, attacks.seeds_of(numbers), PROBE, reply)
    if seed is None:
        raise RuntimeError("the seed of an open episode was not found")
    return finish(door, attacks.best_plan(task_id, seed, [PROBE]), reply)


def surrogate(door: Door, task_id: str, place: int) -> Grade:
    """Play the best plan for the pinned data set whose first observation is nearest, as if it were the episode's."""
    first = door.reset(task_id=task_id, seed=place)
    seed = attacks.seeds_of([attacks.nearest_number(first)])[0]
    return finish(door, attacks.best_plan(task_id, seed), first)


def play_again(door: Door, task_id: str, place: int) -> Grade:
    """Play the episode with several honest policies, and then as the best of them did; needs no package."""
    tried: list[tuple[float, int, Grade, attacks.Plan]] = []
    for number, name in enumerate(TRIED):
        try:
            grade = honest(name)(door, task_id, place)
        except Refused:
            return tried[0][2]  # only the first attempt counts
        tried.append((grade.score, number, grade, door.played))
    return finish(door, max(tried)[3], door.reset(task_id=task_id, seed=place))


def many_names(door: Door, task_id: str, place: int) -> Grade:
    """Let other names play the episode with honest policies first, and then play as the best of them did."""
    tried: list[tuple[float, int, attacks.Plan]] = []
    for number, name in enumerate(TRIED):
        scout = Door(door.client, f"{door.agent}-{number}", door.place)
        tried.append((honest(name)(scout, task_id, place).score, number, scout.played))
    return finish(door, max(tried)[2], door.reset(task_id=task_id, seed=place))


def _play_on(door: Door, task_id: str, first: Reply) -> Grade:
    """Play ``probing``, the best rule of the package, from a first reply."""
    policy = get_policy("probing")
    if not isinstance(policy, Policy):
        raise TypeError("probing sees replies only")
    act, reply = policy.start(get_task(task_id), np.random.default_rng(0)), first
    while not reply.done:
        reply = door.step(act(reply))
    return final_grade(reply)


HONEST = ("random", "best-constant", "probing", "ppo")
ATTACKS: dict[str, Player] = {
    "look the seed up": lookup,
    "find the data set": fingerprint,
    "nearest pinned data set": surrogate,
    "play again": play_again,
    "many names": many_names,
}


def scores(client: TestClient, task_id: str, name: str, player: Player, *, sealed: bool, episodes: int) -> list[float]:
    """Return the scores of an agent on the first episodes of a split."""
    door, found = Door(client, name.replace(" ", "-")), []
    for number in range(episodes):
        place = number if sealed else SPLITS["test"].first_seed + number
        door.place = {"split": SEALED, "index": number} if sealed else {}
        found.append(player(door, task_id, place).score)
    return found


def compare(client: TestClient, task_id: str, *, sealed: bool, episodes: int) -> dict[str, Any]:
    """Return the mean of each agent on a split, and each attack's difference to the best honest policy."""
    players = {name: honest(name) for name in HONEST} | ATTACKS
    found = {
        name: scores(client, task_id, name, player, sealed=sealed, episodes=episodes)
        for name, player in players.items()
    }
    best = max(HONEST, key=lambda name: sum(found[name]))
    rows = {}
    for name, values in found.items():
        rows[name] = {"grade": mean_interval(values).model_dump()}
        if name in ATTACKS:
            gap = difference(values, found[best])
            rows[name]["difference"] = {"mean": gap.mean, "low": gap.low, "high": gap.high, "p": gap.p}
        click.echo(f"{task_id:8} {'sealed' if sealed else 'test':8} {name:24} {np.mean(values):.3f}")
    return {"best_honest": best, "agents": rows}


@click.command()
@click.option("--episodes", default=EPISODES, show_default=True, help="Episodes of each agent, task and split.")
@click.option("--save", is_flag=True, help="Write the results, and the page from them.")
def main(episodes: int, save: bool) -> None:
    """Play all agents on both splits and print their means."""
    logging.disable(logging.INFO)
    settings = Settings(store="memory:", secret=secrets.token_urlsafe(32), sealed_size=max(episodes, 2))
    results: dict[str, Any] = {"episodes": episodes, "plans": attacks.PLANS, "tried": TRIED, "tasks": {}}
    with TestClient(create_app(settings)) as client:
        for task_id in TASKS:
            results["tasks"][task_id] = {
                split: compare(client, task_id, sealed=split == SEALED, episodes=episodes) for split in ("test", SEALED)
            }
    if save:
        page.save("attack", results)


if __name__ == "__main__":
    main()
