"""A Gymnasium environment with flat vectors on both sides: for Stable-Baselines3, RLlib and their like.

Gymnasium comes with the extra ``gym``; nothing else in the package imports this module.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from dataselect_env.env import DataSelectEnv
from dataselect_env.models import Reply, RewardMode
from dataselect_env.policies.features import ACTIONS, FEATURES, decode, features
from dataselect_env.tasks import DEFAULT_SPLIT, DEFAULT_TASK, get_split, get_task

Vector = NDArray[np.float32]


class DataSelectGymEnv(gymnasium.Env[Vector, Vector]):
    """One task as a Gymnasium environment.

    ``reset(seed=n)`` plays exactly the episode of seed n, as on every other transport; a reset without a seed draws one
    from ``split``. Observations are ``features.FEATURES``, (21,), and actions ``features.ACTIONS``, (5,), both in
    [-1, 1]. An episode ends when the task ends it, so it is never truncated. ``info`` holds ``task_id``, ``seed`` and
    ``step``, and after a step what :class:`~dataselect_env.models.StepInfo` tells; the last has the ``grade``.
    """

    metadata = {"render_modes": []}

    def __init__(
        self, task_id: str = DEFAULT_TASK, *, split: str = DEFAULT_SPLIT, reward_mode: RewardMode = "shaped"
    ) -> None:
        """Prepare a task.

        Args:
            task_id: Name of the task.
            split: Where a reset without a seed draws its seed from.
            reward_mode: ``shaped`` or ``grade``.

        Raises:
            UnknownTask, UnknownSplit: No such thing.
        """
        self.task = get_task(task_id)
        self.split = get_split(split)
        self.reward_mode: RewardMode = reward_mode
        self.observation_space = spaces.Box(-1.0, 1.0, (len(FEATURES),), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (len(ACTIONS),), np.float32)
        self._core = DataSelectEnv()
        self._replies: list[Reply] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Vector, dict[str, Any]]:
        """Start an episode; ``options`` has no meaning yet."""
        super().reset(seed=seed, options=options)
        if seed is None:
            seed = self.split.first_seed + int(self.np_random.integers(self.split.seeds))
        reply = self._core.reset(task_id=self.task.task_id, seed=seed, reward_mode=self.reward_mode)
        self._replies = [reply]
        return self._observe(), _info(reply)

    def step(self, action: Vector) -> tuple[Vector, float, bool, bool, dict[str, Any]]:
        """Play one action; arguments and results are those of Gymnasium.

        Raises:
            NoEpisode: Before the first reset.
            EpisodeOver: After the end.
        """
        reply = self._core.step(decode(self.task, np.asarray(action, dtype=np.float64)))
        self._replies.append(reply)
        return self._observe(), reply.reward or 0.0, reply.done, False, _info(reply)

    def _observe(self) -> Vector:
        return features(self.task, self._replies).astype(np.float32)


def _info(reply: Reply) -> dict[str, Any]:
    """Return what a reply tells beside observation and reward; its episode id is random, so it stays out."""
    told = reply.info.model_dump() if reply.info is not None else {}
    return {"task_id": reply.task_id, "seed": reply.seed, "step": reply.step, **told}
