"""TorchRL wraps single and vector environments, checks their specs, and carries flat infos in its tensordicts.

pip install ".[torchrl]" && python -m bench.consumers.torchrl
"""

from __future__ import annotations

from typing import Any

import gymnasium
import torch
from torchrl.envs import GymWrapper
from torchrl.envs.utils import check_env_specs

from bench.consumers.record import recorded
from dataselect_env.core.tasks import PINNED
from dataselect_env.gym.registration import env_id

STEPS, LANES = 40, 3


def wrapped(task_id: str, actions: str, **more: Any) -> Any:
    """Return an environment of TorchRL whose tensordicts have the flat infos."""
    choices: dict[str, Any] = {"actions": actions, "reward_mode": "grade", "infos": "flat", **more}
    make = gymnasium.make_vec if "num_envs" in choices else gymnasium.make
    env = GymWrapper(make(f"dataselect_env.gym:{env_id(task_id)}", **choices))
    return env.auto_register_info_dict()


def largest_gap(env: Any) -> tuple[float, int]:
    """Return the largest difference between the return of an episode and its grade in the infos, and the episodes."""
    rollout = env.rollout(STEPS, break_when_any_done=False)["next"]
    gap, episodes = 0.0, 0
    rewards, codes = rollout["reward"].squeeze(-1), rollout["end_reason"]
    for lane in range(rewards.numel() // STEPS):
        returned = 0.0
        for step in range(STEPS):
            place = (lane, step) if rewards.ndim > 1 else step
            returned += float(rewards[place])
            if codes[place]:
                gap = max(gap, abs(returned - float(rollout["grade_score"][place])))
                returned, episodes = 0.0, episodes + 1
    return gap, episodes


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    with recorded("torchrl", "torchrl", ["torchrl", "tensordict", "gymnasium", "torch"]) as record:
        gaps: list[float] = []
        episodes = 0
        for task_id in (*PINNED, "open"):
            for actions in ("box", "multi_discrete", "discrete"):
                env = wrapped(task_id, actions)
                check_env_specs(env)
                gap, ends = largest_gap(env)
                gaps, episodes = [*gaps, gap], episodes + ends
        record.claim(episodes > 0, "single environments of every task and kind of action pass check_env_specs")
        lanes = wrapped("medium", "discrete", num_envs=LANES, autoreset_mode="Disabled")
        check_env_specs(lanes)
        gap, ends = largest_gap(lanes)
        record.claim(ends >= LANES, "so does the native vector environment")
        gaps, episodes = [*gaps, gap], episodes + ends
        record.claim(max(gaps) < 1e-5, f"the infos of {episodes} episodes have the grade that the rewards add up to")
        record.figures = {"episodes": episodes, "largest_gap": max(gaps)}


if __name__ == "__main__":
    main()
