"""Stable-Baselines3 learns on all spaces: in vector environments made from the ids, and in ``DataSelectVecEnv``.

pip install ".[train]" && python -m bench.consumers.stable_baselines3
"""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from bench.consumers.record import recorded
from dataselect_env.core.tasks import SPLITS
from dataselect_env.gym.registration import env_id
from dataselect_env.gym.sb3 import DataSelectVecEnv

ID = f"dataselect_env.gym:{env_id('medium')}"
STEPS = 512
SETTINGS: dict[str, Any] = {"n_steps": 64, "batch_size": 64, "gamma": 1.0, "device": "cpu", "seed": 1}


def learn(observations: str, actions: str, algorithm: Any = PPO, **more: Any) -> Any:
    """Return an agent after a few updates on four environments of these spaces."""
    choices = {"observations": observations, "actions": actions, "reward_mode": "grade"}
    policy = "MultiInputPolicy" if observations == "dict" else "MlpPolicy"
    return algorithm(policy, make_vec_env(ID, 4, env_kwargs=choices), **{**SETTINGS, **more}).learn(STEPS)


def masked_stops(agent: Any) -> int:
    """Return how often a stochastic agent chooses a masked entry within 20 episodes."""
    env = gymnasium.make(ID, actions="multi_discrete")
    chosen = 0
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        terminated = False
        while not terminated:
            masks = get_action_masks(env)
            action, _ = agent.predict(observation, action_masks=masks)
            chosen += not masks[action[0]]
            observation, _, terminated, _, _ = env.step(action)
    return chosen


def plain(result: Any) -> Any:
    """Return a plain dictionary for an ordered one, which NumPy takes for another type."""
    return dict(result) if isinstance(result, dict) else result


def compare_with_dummy(**choices: Any) -> int:
    """Play random actions in ``DataSelectVecEnv`` and in a ``DummyVecEnv``; return the number of ended episodes.

    Raises:
        AssertionError: An observation, reward, end or info differs.
    """
    choices = {"actions": "multi_discrete", "reward_mode": "grade", **choices}
    ours = DataSelectVecEnv("medium", 4, **choices)
    theirs = DummyVecEnv([partial(gymnasium.make, ID, **choices)] * 4)
    ours.seed(3)
    theirs.seed(3)
    np.testing.assert_equal(ours.reset(), plain(theirs.reset()))
    ends = 0
    for _ in range(30):
        actions = np.array([ours.action_space.sample() for _ in range(4)])
        results = ours.step(actions)
        for one, other in zip(results, theirs.step(actions), strict=True):
            np.testing.assert_equal(one, plain(other))
        np.testing.assert_equal(ours.reset_infos, theirs.reset_infos)
        ends += int(results[2].sum())
    return ends


def main() -> None:
    torch.set_num_threads(1)
    with recorded("stable_baselines3", "train", ["stable-baselines3", "sb3-contrib", "gymnasium", "torch"]) as record:
        for actions in ("box", "multi_discrete", "discrete"):
            check_env(gymnasium.make(ID, actions=actions), warn=True)
            for observations in ("flat", "dict"):
                record.claim(
                    learn(observations, actions).num_timesteps >= STEPS, f"PPO learns on {observations} and {actions}"
                )
        dqn = DQN("MlpPolicy", gymnasium.make(ID, actions="discrete"), learning_starts=100, device="cpu").learn(STEPS)
        record.claim(dqn.num_timesteps >= STEPS, "DQN learns on discrete actions")
        apart = make_vec_env(ID, 2, vec_env_cls=SubprocVecEnv, vec_env_kwargs={"start_method": "spawn"})
        record.claim(PPO("MlpPolicy", apart, **SETTINGS).learn(256).num_timesteps >= 256, "SubprocVecEnv, by spawn")
        apart.close()
        ends = [compare_with_dummy(infos="flat"), compare_with_dummy(observations="dict", max_episode_steps=3)]
        record.claim(min(ends) > 5, "DataSelectVecEnv gives what DummyVecEnv gives over single environments")
        masked = learn("flat", "multi_discrete", MaskablePPO)
        record.claim(is_masking_supported(masked.get_env()), "sb3-contrib finds the masks through the wrappers of make")
        together = DataSelectVecEnv("medium", 32, actions="multi_discrete", reward_mode="grade", keep_datasets=True)
        record.claim(is_masking_supported(together), "sb3-contrib finds the masks of DataSelectVecEnv")
        masked = MaskablePPO("MlpPolicy", together, **SETTINGS).learn(STEPS)
        record.claim(masked_stops(masked) == 0, "MaskablePPO never chooses what is masked")
        held_out = Monitor(gymnasium.make(ID, actions="multi_discrete", reward_mode="grade", split="test"))
        held_out.reset(seed=SPLITS["test"].first_seed)
        untrained = evaluate_policy(masked, held_out, n_eval_episodes=20)[0]
        longer = MaskablePPO("MlpPolicy", together, **{**SETTINGS, "n_steps": 32}, learning_rate=1e-3).learn(16_384)
        held_out.reset(seed=SPLITS["test"].first_seed)
        trained = evaluate_policy(longer, held_out, n_eval_episodes=20)[0]
        steps = (str(masked.num_timesteps), str(longer.num_timesteps))
        record.figures = {"mean_grade_after": dict(zip(steps, (untrained, trained), strict=True))}


if __name__ == "__main__":
    main()
