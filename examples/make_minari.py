"""Record episodes of reference policies as Minari data sets, for offline and imitation learning.

    pip install "dataselect-env[minari]"
    python examples/make_minari.py --task medium --policies random,probing,ppo

Each policy gives one data set, ``dataselect/<task>/<policy>-v0``, in Minari's folder (``MINARI_DATASETS_PATH``). Its
observations are ``features.FEATURES``, its actions are box actions, its infos are flat, and the rewards of an episode
add up to its grade.
``dataset.recover_environment()`` returns the environment, with ``eval_env=True`` the one with held-out seeds.
"""

from __future__ import annotations

from typing import Any

import click
import gymnasium
import minari
import numpy as np
from minari import DataCollector, MinariDataset

from dataselect_env.core.problem import as_described
from dataselect_env.core.tasks import SPLITS, TASKS
from dataselect_env.evaluation.rollout import policy_rng
from dataselect_env.gym.registration import env_id
from dataselect_env.policies import Policy, get_policy
from dataselect_env.policies.features import encode
from dataselect_env.server.catalogue import AUTHOR

POLICIES = "random,uncertainty,balanced,best-constant,probing,ppo"


def record(policy: Policy, task_id: str, seeds: range) -> MinariDataset:
    """Play one episode per seed and return the data set; an existing one of that name is replaced."""
    name = f"dataselect/{task_id}/{policy.name}-v0"
    if name in minari.list_local_datasets():
        minari.delete_dataset(name)
    choices: dict[str, Any] = {"id": f"dataselect_env.gym:{env_id(task_id)}", "reward_mode": "grade", "infos": "flat"}
    env = DataCollector(gymnasium.make(**choices), record_infos=True)
    for seed in seeds:
        env.reset(seed=seed)
        task = as_described(TASKS[task_id], env.unwrapped.replies[0].problem)
        act, terminated = policy.start(task, policy_rng(policy.name, seed)), False
        while not terminated:
            action = encode(task, act(env.unwrapped.replies[-1])).astype(np.float32)
            _, _, terminated, _, _ = env.step(action)
    dataset = env.create_dataset(
        name,
        eval_env=gymnasium.make(**choices, split="test"),
        algorithm_name=policy.name,
        author=AUTHOR,
        description=f"{policy.description} Seeds {seeds[0]} to {seeds[-1]}.",
        requirements=["dataselect-env[gym]"],
    )
    env.close()
    return dataset


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--task", "task_id", type=click.Choice(list(TASKS)), default="medium", show_default=True)
@click.option("--policies", default=POLICIES, show_default=True, help="Names, separated by commas; no oracles.")
@click.option("--split", type=click.Choice(list(SPLITS)), default="train", show_default=True)
@click.option("--episodes", type=click.IntRange(1), default=100, show_default=True, help="Episodes per policy.")
def main(task_id: str, policies: str, split: str, episodes: int) -> None:
    """Record the data sets and print a line for each."""
    chosen = [get_policy(name) for name in policies.split(",")]
    if oracles := [policy.name for policy in chosen if not isinstance(policy, Policy)]:
        raise click.BadParameter(f"{', '.join(oracles)} sees hidden labels and takes no actions")
    seeds = range(SPLITS[split].first_seed, SPLITS[split].first_seed + episodes)
    for policy in chosen:
        if isinstance(policy, Policy):
            dataset = record(policy, task_id, seeds)
            returns = [float(episode.rewards.sum()) for episode in dataset.iterate_episodes()]
            click.echo(
                f"{dataset.spec.dataset_id}: {dataset.total_episodes} episodes, {dataset.total_steps} steps, "
                f"mean grade {np.mean(returns):.3f}"
            )


if __name__ == "__main__":
    main()
