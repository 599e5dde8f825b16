"""Minari records reference policies: grades equal the package's, and the environment can be recovered.

pip install ".[minari]" && python -m bench.consumers.minari
"""

from __future__ import annotations

import os
import tempfile

import gymnasium
import minari
import numpy as np

from bench.consumers.record import recorded
from dataselect_env.core.tasks import PINNED, SPLITS
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import Policy, get_policy
from examples.make_minari import POLICIES
from examples.make_minari import record as record_policy

SEEDS = range(10)


def main() -> None:
    with recorded("minari", "minari", ["minari", "gymnasium"]) as record, tempfile.TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"] = folder
        policies = [policy for policy in map(get_policy, POLICIES.split(",")) if isinstance(policy, Policy)]
        gaps, steps = [], 0
        for task_id in PINNED:
            for policy in policies:
                dataset = record_policy(policy, task_id, SEEDS)
                for episode, seed in zip(dataset.iterate_episodes(), SEEDS, strict=True):
                    score = rollout(policy, task_id, seed).grade.score
                    gaps += [abs(episode.rewards.sum() - score), abs(episode.infos["grade_score"][-1] - score)]
                steps += dataset.total_steps
        record.claim(max(gaps) < 1e-9, f"returns and infos of {len(gaps) // 2} episodes equal the package's own grades")
        loaded = minari.load_dataset("dataselect/hard/probing-v0")
        env, first = loaded.recover_environment(), next(iter(loaded.iterate_episodes()))
        observation, _ = env.reset(seed=SEEDS[0])
        replayed = [observation, *(env.step(action)[0] for action in first.actions)]
        record.claim(np.array_equal(replayed, first.observations), "the recovered environment replays an episode")
        held_out = loaded.recover_environment(eval_env=True)
        record.claim(held_out.reset(seed=2**32)[1]["seed"] in SPLITS["test"], "its evaluation draws held-out seeds")
        collector = minari.DataCollector(gymnasium.make(env.spec))
        collector.reset()  # Minari draws a seed of 64 bits
        collector.step(np.array([1, 0, 0, 0, 0], np.float32))
        record.claim(collector.create_dataset("own-v0").total_episodes == 1, "resets without a seed")
        record.figures = {"datasets": len(PINNED) * len(policies), "steps": steps, "largest_gap": max(gaps)}


if __name__ == "__main__":
    main()
