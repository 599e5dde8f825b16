"""Train an agent with Ray RLlib's PPO, on this machine or on a cluster, and grade it on held-out seeds.

    pip install "dataselect-env[rllib]"
    python examples/train_rllib.py --task medium

Two env runners play in separate processes. ``--address`` connects to a Ray cluster, whose nodes need the package.
``--url`` lets the runners play on a running server. Training uses seeds of the train split, grading those of the test
split. It runs on CPUs; ten iterations take a few minutes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from statistics import fmean
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import click
import gymnasium
import numpy as np
import ray
import torch
from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.tune.registry import register_env

from dataselect_env.core.tasks import SPLITS, TASKS
from dataselect_env.evaluation.statistics import mean_interval, strata_of
from dataselect_env.gym.registration import env_id

ENV = "dataselect"
RUNNERS = 2
STEPS_AN_ITERATION = 2048
TEST_SEEDS = range(SPLITS["test"].first_seed, SPLITS["test"].first_seed + 50)


def make_env(config: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    """Return the environment that ``config`` describes; env runners call this in their processes."""
    return gymnasium.make(**config)


def env_config(task_id: str, url: str | None = None) -> dict[str, Any]:
    """Return the arguments of ``make_env``: discrete whole actions, and rewards that add up to the grade."""
    config = {"id": f"dataselect_env.gym:{env_id(task_id)}", "actions": "discrete", "reward_mode": "grade"}
    return config if url is None else {**config, "url": url}


def make_algorithm(config: dict[str, Any], seed: int, steps: int = STEPS_AN_ITERATION) -> PPO:
    """Return an untrained agent; Ray must be running."""
    register_env(ENV, make_env)
    return (
        PPOConfig()
        .environment(ENV, env_config=config)
        .env_runners(num_env_runners=RUNNERS, num_envs_per_env_runner=4)
        .learners(num_learners=0)
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[64, 64], vf_share_layers=False))
        .training(
            train_batch_size_per_learner=steps,
            minibatch_size=min(512, steps),
            num_epochs=10,
            gamma=1.0,
            lambda_=0.95,
            lr=1e-3,
            entropy_coeff=0.01,
        )
        .debugging(seed=seed, log_level="ERROR")
        .build_algo()
    )


def grades(algorithm: PPO, config: dict[str, Any], seeds: range) -> list[float]:
    """Return the grade of one episode per seed, played greedily."""
    env, module = make_env(config), algorithm.get_module()
    scores = []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        terminated = False
        while not terminated:
            with torch.no_grad():
                out = module.forward_inference({"obs": torch.from_numpy(observation[None])})
            action = int(np.argmax(out["action_dist_inputs"][0].numpy()))
            observation, _, terminated, _, info = env.step(action)
        scores.append(info["grade"]["score"])
    env.close()
    return scores


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--task", "task_id", type=click.Choice(list(TASKS)), default="medium", show_default=True)
@click.option("--address", help="Address of a Ray cluster, such as ray://head:10001; default: this machine.")
@click.option("--url", help="Address of a running server to play on; default: play in the env runners' processes.")
@click.option("--iterations", type=click.IntRange(1), default=10, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/rllib"), show_default=True)
def main(*, task_id: str, address: str | None, url: str | None, iterations: int, seed: int, out: Path) -> None:
    """Train, save a checkpoint, grade it, and write the grades."""
    out.mkdir(parents=True, exist_ok=True)
    ray.init(address=address, include_dashboard=None if address else False, log_to_driver=False)
    config = env_config(task_id, url)
    algorithm = make_algorithm(config, seed)
    for iteration in range(iterations):
        runners = algorithm.train()["env_runners"]
        click.echo(f"{iteration + 1:>3}  mean grade in training {runners['episode_return_mean']:.3f}")
    scores = grades(algorithm, config, TEST_SEEDS)
    algorithm.save_to_path(str((out / task_id).resolve()))
    (out / f"{task_id}.json").write_text(json.dumps({"seeds": list(TEST_SEEDS), "grades": scores}) + "\n", "utf-8")
    interval = mean_interval(scores, strata_of(TASKS[task_id], TEST_SEEDS))
    click.echo(f"held out: {fmean(scores):.3f}  [{interval.low:.3f}, {interval.high:.3f}]")
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
