"""The native vector environment: many episodes in one process, with batched features and infos.

    gymnasium.make_vec("dataselect_env.gym:DataSelect-Hard-v0", num_envs=8)

Its results equal, bit for bit, those of ``gymnasium.vector.SyncVectorEnv`` over as many single environments, including
infos and drawn seeds, in all three autoreset modes. It is faster because it computes the features and infos of all
lanes at once. A lane is one sub-environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from dataselect_env.core.arrays import Floats, Indices, Mask
from dataselect_env.core.episode import Episode
from dataselect_env.core.episode_batch import EpisodeBatch
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import DEFAULT_REWARD_MODE, RewardMode
from dataselect_env.core.numbers import as_integer
from dataselect_env.core.order import check_order
from dataselect_env.core.results import BatchResult
from dataselect_env.core.source import source_of
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import DEFAULT_SPLIT, DEFAULT_TASK, PINNED, get_split, get_task
from dataselect_env.custom.task_file import load_tasks
from dataselect_env.gym import spaces
from dataselect_env.gym.env import choose_seed, read_options
from dataselect_env.gym.infos import FlatInfos, InfoKind, numbers_of
from dataselect_env.gym.spaces import ActionKind, ObservationKind
from dataselect_env.policies.features import Progress, purchases_of

Infos = dict[str, Any]


class DataSelectVectorEnv(VectorEnv[Any, Any, NDArray[Any]]):
    """Episodes of one task played in lockstep, each as in :class:`~dataselect_env.gym.env.DataSelectGymEnv`.

    After ``reset(seed=n)``, lane i plays the episode of seed n + i. A list gives the seed of each lane; None draws one.
    Each lane has its own random stream, from which the seeds of its later episodes are drawn.
    """

    def __init__(
        self,
        num_envs: int = 1,
        task_id: str = DEFAULT_TASK,
        *,
        observations: ObservationKind = "flat",
        actions: ActionKind = "box",
        split: str = DEFAULT_SPLIT,
        reward_mode: RewardMode = DEFAULT_REWARD_MODE,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: None = None,
        url: None = None,
        task_file: str | None = None,
        infos: InfoKind = "nested",
        keep_datasets: bool = False,
    ) -> None:
        """Prepare the lanes.

        Args:
            num_envs: Number of lanes, at least 1.
            task_id: As for a single environment.
            observations: As for a single environment.
            actions: As for a single environment.
            split: As for a single environment.
            reward_mode: As for a single environment.
            autoreset_mode: When a lane whose episode is over is reset: ``NEXT_STEP``, ``SAME_STEP`` or ``DISABLED``, as
                a member of ``AutoresetMode`` or its value.
            max_episode_steps: Number of actions after which an episode is truncated; None for no such limit.
            render_mode: Only None. For rendering, use ``vectorization_mode="sync"``, which makes single environments.
            url: Only None. For a server, use ``vectorization_mode="async"``, which makes single environments.
            task_file: As for a single environment.
            infos: As for a single environment.
            keep_datasets: Whether every data set stays in memory once an episode has used it, 1 MB each, so that later
                resets need not make it again. Training meets each of the 1,024 of the train split many times. Only for
                ``easy``, ``medium`` and ``hard``: other tasks may have a data set for each seed.

        Raises:
            TaskFileError: The task file cannot be used.
            UnknownTask, UnknownSplit: There is no task or split of this name.
            InvalidInput: Another argument is not valid.
        """
        for name, value, mode in (("render_mode", render_mode, "sync"), ("url", url, "async")):
            if value is not None:
                raise InvalidInput(f'{name}: only with vectorization_mode="{mode}"', field=name)
        if autoreset_mode not in [*AutoresetMode, *(mode.value for mode in AutoresetMode)]:
            allowed = ", ".join(mode.value for mode in AutoresetMode)
            raise InvalidInput(f"autoreset_mode: should be one of {allowed}", field="autoreset_mode")
        if num_envs < 1:
            raise InvalidInput(f"num_envs: should be at least 1, not {num_envs}", field="num_envs")
        spaces.check_kind("reward_mode", reward_mode, RewardMode)
        spaces.check_kind("infos", infos, InfoKind)
        if task_file is not None:
            load_tasks(task_file)
        self.task, self.split = get_task(task_id), get_split(split)
        if keep_datasets and self.task.task_id not in PINNED:
            raise InvalidInput(f"keep_datasets: only for the tasks {', '.join(PINNED)}", field="keep_datasets")
        self.num_envs = num_envs
        self.observations, self.actions = observations, actions
        self.max_episode_steps = max_episode_steps
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": [], "autoreset_mode": self.autoreset_mode}
        if observations == "options":
            raise InvalidInput(
                "observations: options are those of single environments; use gymnasium.vector.SyncVectorEnv or its"
                " AsyncVectorEnv",
                field="observations",
            )
        self.single_observation_space = spaces.observation_space(observations)
        self.single_action_space = spaces.action_space(actions, self.task.extra_strategies)
        self.reward_mode = reward_mode
        self._flat = FlatInfos(self.task.extra_strategies, reward_mode) if infos == "flat" else None
        self._kept: dict[int, object] | None = {} if keep_datasets else None
        self._batch = EpisodeBatch(num_envs, reward_mode)
        self._started = np.zeros(num_envs, dtype=np.bool_)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._progress = Progress(num_envs)
        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._task_ids: NDArray[Any] = np.full(num_envs, None, dtype=object)
        self._seeds = np.zeros(num_envs, dtype=np.int64)
        self._over = np.zeros(num_envs, dtype=np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, Infos]:
        """Start an episode in every lane, or in the lanes of a mask.

        Args:
            seed: Seed of lane 0, or a sequence with the seed of each lane; see the class.
            options: ``task_id`` and ``split`` as for a single environment, and ``reset_mask``, a boolean array, (n,),
                that is True for the lanes to reset.

        Raises:
            InvalidInput: Seeds or options are not valid.
            UnknownTask, UnknownSplit: There is no task or split of this name.
        """
        options = dict(options or {})
        lanes = self._masked(options.pop("reset_mask", None))
        first = as_integer(seed)
        if first is None or isinstance(first, int):
            seeds = [None if first is None else first + lane for lane in range(self.num_envs)]
        else:
            seeds = [cast("int | None", as_integer(one)) for one in cast("Sequence[int | None]", first)]
        if len(seeds) != self.num_envs:
            raise InvalidInput(f"seed: should be one for each of {self.num_envs} lanes, not {len(seeds)}", field="seed")
        infos: Infos = {}
        self._start(lanes, [seeds[lane] for lane in lanes], options, infos)
        return spaces.observe(self.observations, self._progress), infos

    def step(self, actions: Any) -> tuple[Any, Floats, Mask, Mask, Infos]:
        """Play one action in every lane with a running episode, with the arguments and results of Gymnasium.

        Raises:
            InvalidInput: An action is not valid.
            NoEpisode: The environment has not been reset.
            EpisodeOver: An episode is over and autoreset is disabled.
        """
        if not self._started.all():
            check_order("step", "none", lane=int(self._started.argmin()))
        if self.autoreset_mode is AutoresetMode.DISABLED and self._over.any():
            check_order("step", "over", lane=int(self._over.argmax()))
        lanes, idle = np.flatnonzero(~self._over), np.flatnonzero(self._over)
        rewards: Floats = np.zeros(self.num_envs)
        terminated, truncated = np.zeros((2, self.num_envs), dtype=np.bool_)
        infos: Infos = {}
        result = None
        if len(lanes):
            result = self._play(lanes, actions)
            self._progress.add(lanes, result.observed, purchases_of(result))
            rewards[lanes], terminated[lanes] = result.rewards, result.done
            if self.max_episode_steps is not None:
                truncated[lanes] = self._progress.step[lanes] >= self.max_episode_steps
        if len(idle):
            self._start(idle, [None] * len(idle), {}, infos)
        self._over = terminated | truncated
        if result is not None:
            self._report(lanes, result, infos)
        return spaces.observe(self.observations, self._progress), rewards, terminated, truncated, infos

    def close_extras(self, **kwargs: Any) -> None:  # noqa: ARG002  (the signature is Gymnasium's)
        """End the threads that play steps."""
        self._batch.close()

    def action_masks(self) -> Mask:
        """Return the mask of useful actions of each lane, (n, ...); see :func:`.spaces.masks`.

        Raises:
            InvalidInput: The environment has ``box`` actions.
        """
        return spaces.masks(self.actions, self._progress, self.task.extra_strategies)

    def _play(self, lanes: Indices, actions: Any) -> BatchResult:
        """Play the actions of ``lanes``, given one action for every lane."""
        actions = np.asarray(actions)
        if actions.shape[:1] != (self.num_envs,):
            raise InvalidInput(f"action: should be one for each of {self.num_envs} lanes", field="action")
        progress = self._progress
        choices = spaces.read_actions(
            self.actions,
            progress.budget[lanes],
            progress.max_steps[lanes],
            actions[lanes],
            self.task.extra_strategies,
        )
        return self._batch.step(lanes, choices.stop, choices.batch_sizes, choices.weights)

    def _masked(self, mask: Any) -> Indices:
        """Return the lanes that a reset mask selects; None selects all."""
        if mask is None:
            return np.arange(self.num_envs)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise InvalidInput(
                f"options: reset_mask should be {self.num_envs} booleans, at least one of them true", field="options"
            )
        return np.flatnonzero(mask)

    def _start(self, lanes: Indices, seeds: Sequence[int | None], options: Infos, infos: Infos) -> None:
        """Start episodes in ``lanes`` and add their infos."""
        task, split = read_options(options, self.task, self.split)
        numbers = []
        for lane, seed in zip(lanes, seeds, strict=True):
            rng = self._rngs[lane]
            if seed is not None or rng is None:
                rng, _ = seeding.np_random(seed)
            self._rngs[lane] = rng
            numbers.append(choose_seed(seed, split, rng))
        started = [Episode(task, number, self.reward_mode, hold_data=True) for number in numbers]
        for lane, episode in zip(lanes.tolist(), started, strict=True):
            self._batch.start(lane, episode)
            if self._kept is not None and task.task_id in PINNED:
                start = source_of(episode.task).start(episode.seed)
                self._kept[start.dataset.number] = start
        observed = np.array([episode.observation.as_tuple() for episode in started], dtype=np.float64)
        self._progress.start(lanes, [episode.task for episode in started], observed)
        self._task_ids[lanes], self._seeds[lanes] = task.task_id, numbers
        self._started[lanes], self._over[lanes] = True, False
        if self._flat is not None:
            self._put(infos, lanes, self._flat.of_resets(self._seeds[lanes]))
            return
        self._put(infos, lanes, self._identity(lanes))
        if task.described:
            for lane, episode in zip(lanes.tolist(), started, strict=True):
                infos |= self._add_info(infos, {"problem": numbers_of(episode.describe())}, lane)

    def _report(self, lanes: Indices, result: BatchResult, infos: Infos) -> None:
        """Add the infos of a step; with ``SAME_STEP``, move those of ended lanes to ``final_info`` and reset these."""
        ended = self._over[lanes] if self.autoreset_mode is AutoresetMode.SAME_STEP else np.zeros(len(lanes), np.bool_)
        if not ended.any():
            self._add_steps(lanes, result, infos)
            return
        final = Infos()
        self._add_steps(lanes[ended], result.rows(np.flatnonzero(ended)), final)
        last = spaces.observe(self.observations, self._progress)
        final_obs: NDArray[Any] = np.full(self.num_envs, None, dtype=object)
        for lane in lanes[ended]:
            final_obs[lane] = spaces.lane(self.observations, last, lane)
        mask = np.isin(np.arange(self.num_envs), lanes[ended])
        infos |= {"final_obs": final_obs, "_final_obs": mask, "final_info": final, "_final_info": mask.copy()}
        self._start(lanes[ended], [None] * int(ended.sum()), {}, infos)
        self._add_steps(lanes[~ended], result.rows(np.flatnonzero(~ended)), infos)

    def _add_steps(self, lanes: Indices, result: BatchResult, infos: Infos) -> None:
        """Add the infos of the results, one row for each of ``lanes``; fields without a value are left out."""
        if self._flat is not None:
            steps = self._progress.step[lanes].astype(np.int64)
            self._put(infos, lanes, self._flat.of_steps(self._seeds[lanes], steps, result))
            return
        self._put(infos, lanes, self._identity(lanes))
        strategies = (*STRATEGIES, *self.task.extra_strategies)
        bought_by = dict(zip(strategies, result.bought_by.T, strict=True))
        self._put(infos, lanes, {"reward_terms": result.terms, "bought_by": bought_by, "batch_size": result.batch_size})
        for name, values in result.audit.items():
            present = ~np.isnan(values)
            kind = np.int64 if name == "mislabelled" else np.float64
            self._put(infos, lanes[present], {name: values[present].astype(kind)})
        for lane, reason, grade in zip(lanes.tolist(), result.end_reasons, result.grades, strict=True):
            if reason is not None and grade is not None:
                end = {"end_reason": reason, "grade": grade.model_dump(exclude_none=True)}
                infos |= self._add_info(infos, end, lane)

    def _identity(self, lanes: Indices) -> Infos:
        steps = self._progress.step[lanes].astype(np.int64)
        return {"task_id": self._task_ids[lanes], "seed": self._seeds[lanes], "step": steps}

    def _put(self, infos: Infos, lanes: Indices, arrays: Infos) -> None:
        """Write one value for each of ``lanes`` into infos, with presence masks, as Gymnasium's ``_add_info`` does."""
        if not len(lanes):
            return
        for name, values in arrays.items():
            if isinstance(values, dict):
                self._put(infos.setdefault(name, {}), lanes, values)
            else:
                empty: Any = None if values.dtype == object else 0
                infos.setdefault(name, np.full(self.num_envs, empty, dtype=values.dtype))[lanes] = values
            infos.setdefault(f"_{name}", np.zeros(self.num_envs, dtype=np.bool_))[lanes] = True
