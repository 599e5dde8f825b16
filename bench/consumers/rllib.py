"""Ray RLlib trains with two env runners, in process and over a running server, as examples/train_rllib.py does.

pip install ".[rllib]" && python -m bench.consumers.rllib
"""

from __future__ import annotations

import time
from math import isnan

import ray

from bench.consumers.record import recorded
from dataselect_env.core.tasks import SPLITS
from examples.train_rllib import RUNNERS, env_config, grades, make_algorithm
from tests.helpers.serving import running_server

TASK = "medium"
ITERATIONS = 10
SEEDS = range(SPLITS["test"].first_seed, SPLITS["test"].first_seed + 20)


def main() -> None:
    with recorded("rllib", "rllib", ["ray", "gymnasium", "torch"]) as record:
        ray.init(include_dashboard=False, log_to_driver=False, num_cpus=RUNNERS + 1)
        config = env_config(TASK)
        algorithm = make_algorithm(config, seed=1)
        record.claim(algorithm.env_runner_group.num_remote_env_runners() == RUNNERS, f"{RUNNERS} env runners play")
        before, started = grades(algorithm, config, SEEDS), time.monotonic()
        # RLlib reports NaN for an iteration in which no episode ended.
        returns = [algorithm.train()["env_runners"]["episode_return_mean"] for _ in range(ITERATIONS)]
        seconds = time.monotonic() - started
        after = grades(algorithm, config, SEEDS)
        algorithm.stop()
        record.claim(sum(after) > sum(before), "training raises the mean grade on held-out seeds")
        with running_server() as server:
            there = make_algorithm(env_config(TASK, server.base_url), seed=1, steps=512)
            record.claim(there.train()["env_runners"]["num_episodes"] > 0, "env runners play on a server")
            there.stop()
        ray.shutdown()
        record.figures = {
            "mean_return_by_iteration": [None if isnan(value) else round(value, 3) for value in returns],
            "seconds_an_iteration": round(seconds / ITERATIONS, 1),
            "mean_grade_before": sum(before) / len(before),
            "mean_grade_after": sum(after) / len(after),
        }


if __name__ == "__main__":
    main()
