"""The native vector environment as a ``VecEnv`` of Stable-Baselines3, which is installed with the extra ``train``.

    from dataselect_env.gym.sb3 import DataSelectVecEnv

    venv = DataSelectVecEnv("medium", 64, actions="multi_discrete", reward_mode="grade")
    MaskablePPO("MlpPolicy", venv, gamma=1.0).learn(100_000)

It gives the episodes that ``make_vec_env`` gives, but faster, because it plays the steps of all environments together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from dataselect_env.core.errors import InvalidInput
from dataselect_env.gym.vector import DataSelectVectorEnv

_SHARED = ("action_masks", "render_mode")
"""Attributes that every environment has, as far as the algorithms ask for them."""


class DataSelectVecEnv(VecEnv):
    """Episodes of one task or several, played together.

    An environment that ends an episode starts the next one in the same step; its info then has the last observation as
    ``terminal_observation``. After ``seed(n)`` and ``reset()``, environment i plays the episode of seed n + i.

    Args:
        task_id: A task, or several that offer the same strategies; environment i plays task i modulo their number.
        num_envs: Number of environments, at least the number of tasks.
        choices: Further arguments of :class:`~dataselect_env.gym.vector.DataSelectVectorEnv`, except
            ``autoreset_mode``.

    Raises:
        InvalidInput, UnknownTask, UnknownSplit, TaskFileError: The arguments are not valid.
    """

    def __init__(self, task_id: str | Sequence[str] = "easy", num_envs: int = 1, **choices: Any) -> None:
        tasks = [task_id] if isinstance(task_id, str) else list(task_id)
        if not 0 < len(tasks) <= num_envs:
            raise InvalidInput(f"num_envs: should be at least 1 for each of {len(tasks)} tasks", field="num_envs")
        self._places = [np.arange(first, num_envs, len(tasks)) for first in range(len(tasks))]
        self._parts = [
            DataSelectVectorEnv(len(places), task, autoreset_mode=AutoresetMode.SAME_STEP, **choices)
            for task, places in zip(tasks, self._places, strict=True)
        ]
        first = self._parts[0]
        if any(part.single_action_space != first.single_action_space for part in self._parts):
            raise InvalidInput("task_id: the tasks should offer the same strategies", field="task_id")
        self._actions: NDArray[Any] = np.zeros(0)
        super().__init__(num_envs, first.single_observation_space, first.single_action_space)

    def reset(self) -> Any:
        """Start an episode in every environment, with the seeds and options set before, and return the observations.

        Raises:
            InvalidInput: The options differ between environments of one task.
        """
        found = []
        for part, places in zip(self._parts, self._places, strict=True):
            options = [self._options[place] for place in places]
            if any(one != options[0] for one in options):
                raise InvalidInput("options: should be the same for all environments of a task", field="options")
            observations, infos = part.reset(seed=[self._seeds[place] for place in places], options=options[0])
            found.append(observations)
            self._put(self.reset_infos, places, rows_of(infos, len(places)))
        self._reset_seeds()
        self._reset_options()
        return self._joined(found)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take one action for each environment; ``step_wait`` plays them."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Play the actions and return observations, rewards, ends and infos."""
        found = []
        rewards, dones = np.zeros(self.num_envs, dtype=np.float32), np.zeros(self.num_envs, dtype=np.bool_)
        rows: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for part, places in zip(self._parts, self._places, strict=True):
            observations, rewards[places], terminated, truncated, infos = part.step(self._actions[places])
            found.append(observations)
            dones[places] = terminated | truncated
            last, final = infos.pop("final_obs", None), rows_of(infos.pop("final_info", {}), len(places))
            current = rows_of(infos, len(places))
            for lane in np.flatnonzero(dones[places]).tolist():
                self.reset_infos[places[lane]] = current[lane]
                current[lane] = final[lane] | {"terminal_observation": last[lane]}
            for lane, cut in enumerate((truncated & ~terminated).tolist()):
                current[lane]["TimeLimit.truncated"] = cut
            self._put(rows, places, current)
        return self._joined(found), rewards, dones, rows

    def close(self) -> None:
        """End the threads that play steps."""
        for part in self._parts:
            part.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return ``render_mode`` or ``action_masks`` of each environment.

        Raises:
            AttributeError: It is neither of them.
        """
        if attr_name not in _SHARED:
            raise AttributeError(f"the environments of a DataSelectVecEnv have no attribute {attr_name!r}")
        return [None if attr_name == "render_mode" else self._parts[0].action_masks for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:  # noqa: ARG002  (SB3's signature)
        """Refuse: the environments have no attributes of their own.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(f"the environments of a DataSelectVecEnv have no attribute {attr_name!r} to set")

    def env_method(self, method_name: str, *_args: Any, indices: Any = None, **_kwargs: Any) -> list[Any]:
        """Return ``action_masks()`` of each environment, as ``MaskablePPO`` asks for.

        Raises:
            AttributeError: It is another method.
            InvalidInput: The environments have ``box`` actions.
        """
        if method_name != "action_masks":
            raise AttributeError(f"the environments of a DataSelectVecEnv have no method {method_name!r}")
        masks = self._joined([part.action_masks() for part in self._parts])
        return [masks[place] for place in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:  # noqa: ARG002  (SB3's signature)
        """Return False for each environment: they are not wrapped one by one. Use ``VecMonitor`` for all."""
        return [False for _ in self._get_indices(indices)]

    def _joined(self, found: list[Any]) -> Any:
        """Return the observations or masks of the parts in the order of the environments."""
        if len(found) == 1:
            return found[0]
        if isinstance(found[0], dict):
            return {name: self._joined([part[name] for part in found]) for name in found[0]}
        joined = np.empty((self.num_envs, *found[0].shape[1:]), dtype=found[0].dtype)
        for places, part in zip(self._places, found, strict=True):
            joined[places] = part
        return joined

    @staticmethod
    def _put(rows: list[Any], places: Iterable[int], values: Sequence[Any]) -> None:
        for place, value in zip(places, values, strict=True):
            rows[place] = value


def rows_of(infos: dict[str, Any], lanes: int) -> list[dict[str, Any]]:
    """Return the infos of each lane from those of a Gymnasium vector environment; a lane has what its mask allows."""
    rows: list[dict[str, Any]] = [{} for _ in range(lanes)]
    for name, values in infos.items():
        if name.startswith("_"):
            continue
        cells = rows_of(values, lanes) if isinstance(values, dict) else values.tolist()
        for lane in np.flatnonzero(infos[f"_{name}"]).tolist():
            rows[lane][name] = cells[lane]
    return rows
