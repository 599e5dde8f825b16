"""The Gymnasium environment, for Stable-Baselines3, RLlib and other libraries; in process or on a running server.

    gymnasium.make("dataselect_env.gym:DataSelect-Hard-v0")
    gymnasium.make("dataselect_env.gym:DataSelect-Hard-v0", url="ws://localhost:7860")

Gymnasium is installed with the extra ``gym`` and imported only by :mod:`dataselect_env.gym`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import gymnasium
import numpy as np

from dataselect_env.core.arrays import Mask
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import DEFAULT_REWARD_MODE, Reply, RewardMode
from dataselect_env.core.numbers import as_integer
from dataselect_env.core.problem import as_described
from dataselect_env.core.tasks import DEFAULT_SPLIT, DEFAULT_TASK, SEED_LIMIT, Split, Task, get_split, get_task
from dataselect_env.custom.task_file import load_tasks
from dataselect_env.gym import spaces
from dataselect_env.gym.infos import FlatInfos, InfoKind, info_of
from dataselect_env.gym.spaces import ActionKind, ObservationKind
from dataselect_env.integrations.remote import RemoteEnv
from dataselect_env.policies.features import EpisodeProgress
from dataselect_env.policies.options import History
from dataselect_env.rendering import frames

OPTIONS = ("task_id", "split")
"""Keys that the options of a reset may have; they apply to one episode."""


def read_options(options: Mapping[str, Any] | None, task: Task, split: Split) -> tuple[Task, Split]:
    """Return the task and split of the next episode: those in the options of a reset, or ``task`` and ``split``.

    Raises:
        InvalidInput: There is no such option, or the task's action space differs from that of ``task``.
        UnknownTask, UnknownSplit: There is no task or split of this name.
    """
    options = options or {}
    if unknown := options.keys() - set(OPTIONS):
        raise InvalidInput(
            f"options: unknown {', '.join(map(repr, sorted(unknown)))}; allowed are {', '.join(OPTIONS)}",
            field="options",
        )
    chosen = get_task(options.get("task_id", task.task_id))
    if chosen.extra_strategies != task.extra_strategies:
        raise InvalidInput(
            f"options: {chosen.task_id} offers other strategies than {task.task_id} and has another action space; make"
            " another environment for it",
            field="options",
        )
    return chosen, get_split(options.get("split", split.name))


def choose_seed(seed: int | None, split: Split, rng: np.random.Generator) -> int:
    """Return the seed of the episode that ``reset(seed=seed)`` starts.

    That is ``seed`` itself, or a seed of ``split`` drawn from ``rng`` if ``seed`` is None or 2^32 or more.
    """
    if seed is not None and seed < SEED_LIMIT:
        return seed
    return split.first_seed + int(rng.integers(split.seeds))


class DataSelectGymEnv(gymnasium.Env[Any, Any]):
    """One task as a Gymnasium environment.

    ``reset(seed=n)`` starts the episode of seed n, the same as on every other transport; a reset without a seed draws
    one from ``split``. The ``options`` of a reset may name another ``task_id`` or ``split`` for one episode. Tasks that
    offer the same strategies have the same spaces; ``easy``, ``medium`` and ``hard`` do.

    Every end of an episode is ``terminated``, including the end after ``max_steps`` actions: the episode is graded and
    no further reward is possible, the task states the limit, and the observation contains the steps left. An algorithm
    must not bootstrap there. ``truncated`` is left to ``gymnasium.make(..., max_episode_steps=n)``.

    ``info`` contains ``task_id``, ``seed`` and ``step``. After a reset of ``open`` or a custom task it also has the
    ``problem``, the fields of a :class:`~dataselect_env.core.problem.Problem` that are not None. After a step it has
    those of :class:`~dataselect_env.core.models.StepInfo`: ``end_reason`` and ``grade`` only at the end,
    ``noise_ratio``, ``redundancy`` and ``gain`` only if something was bought.

    Attributes:
        replies: The reply to the reset, followed by one reply for each step, as a
            :class:`~dataselect_env.policies.Policy` expects them.
    """

    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 2}

    def __init__(
        self,
        task_id: str = DEFAULT_TASK,
        *,
        observations: ObservationKind = "flat",
        actions: ActionKind = "box",
        split: str = DEFAULT_SPLIT,
        reward_mode: RewardMode = DEFAULT_REWARD_MODE,
        url: str | None = None,
        render_mode: str | None = None,
        task_file: str | None = None,
        infos: InfoKind = "nested",
    ) -> None:
        """Prepare a task; ``reset`` starts an episode.

        Args:
            task_id: Name of the task.
            observations: ``flat``: the features ``features.FEATURES``, (21,), in [-1, 1]. ``dict``: the unscaled fields
                of an observation and the ``step``, each (1,). ``options``: the vector of
                :meth:`~dataselect_env.policies.options.History.state`, with the statistics of the pool and a row of
                features for each strategy, in [-1, 1].
            actions: ``box``: an action vector, ``features.ACTIONS``, (5,), in [-1, 1]. ``multi_discrete``: stop or a
                batch size, and a weight for each strategy. ``discrete``: an index into ``spaces.MENU``. Each extra
                strategy of the task adds an entry, a weight or menu items.
            split: Split from which a reset without a seed draws one.
            reward_mode: ``shaped`` or ``grade``.
            url: URL of a running server to play on; None plays in process.
            render_mode: ``ansi``, ``rgb_array`` (needs matplotlib) or None.
            task_file: Path of a file of custom tasks, loaded first in the process that makes the environment. To play
                a custom task on a server, the server must have loaded the file too.
            infos: ``nested``: as described above. ``flat``: numbers under keys that never change, see
                :class:`~dataselect_env.gym.infos.FlatInfos`.

        Raises:
            TaskFileError: The task file cannot be used.
            UnknownTask, UnknownSplit: There is no task or split of this name.
            InvalidInput: Another argument is not valid.
            CannotPlot: ``rgb_array`` needs matplotlib, which is not installed.
        """
        if task_file is not None:
            load_tasks(task_file)
        self.task, self.split = get_task(task_id), get_split(split)
        spaces.check_kind("reward_mode", reward_mode, RewardMode)
        spaces.check_kind("infos", infos, InfoKind)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise InvalidInput(
                f"render_mode: should be ansi, rgb_array or None, not {render_mode!r}", field="render_mode"
            )
        if render_mode == "rgb_array":
            frames.check()
        self.observations, self.actions, self.reward_mode = observations, actions, reward_mode
        self.observation_space = spaces.observation_space(observations, self.task.extra_strategies)
        self.action_space = spaces.action_space(actions, self.task.extra_strategies)
        self.render_mode = render_mode
        self._inform = info_of if infos == "nested" else FlatInfos(self.task.extra_strategies, reward_mode).of
        self._core: DataSelectEnv | RemoteEnv = RemoteEnv(url) if url is not None else DataSelectEnv()
        self._progress, self._history = EpisodeProgress(self.task), History(self.task)
        self.replies: list[Reply] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seed of the episode. None draws one from the split. So does a seed of 2^32 or more, which some
                libraries pass; it seeds the random stream that episodes are drawn from.
            options: ``task_id`` and ``split`` of this episode; see the class.

        Raises:
            EnvError: The options are not valid, or the server refuses the reset.
            gymnasium.error.Error: The seed is negative or not an integer.
        """
        seed = cast("int | None", as_integer(seed))
        super().reset(seed=seed, options=options)
        task, split = read_options(options, self.task, self.split)
        chosen = choose_seed(seed, split, self.np_random)
        reply = self._core.reset(task_id=task.task_id, seed=chosen, reward_mode=self.reward_mode)
        described = as_described(task, reply.problem)
        self.replies, self._progress, self._history = [reply], EpisodeProgress(described), History(described)
        return self._observe(reply), self._inform(reply)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play one action, with the arguments and results of Gymnasium.

        Raises:
            InvalidInput: The action is not valid.
            NoEpisode: The environment has not been reset.
            EpisodeOver: The episode is over.
            RemoteError: The connection to the server was lost; the next reset reconnects.
        """
        progress = self._progress
        choices = spaces.read_actions(
            self.actions, progress.budget, progress.max_steps, np.asarray(action)[None], self.task.extra_strategies
        )
        reply = self._core.step(choices.action(0))
        self.replies.append(reply)
        return self._observe(reply), reply.reward or 0.0, reply.done, False, self._inform(reply)

    def action_masks(self) -> Mask:
        """Return the mask of useful actions for sb3-contrib's ``MaskablePPO``; see :func:`.spaces.masks`.

        Raises:
            InvalidInput: The environment has ``box`` actions.
        """
        mask: Mask = spaces.masks(self.actions, self._progress, self.task.extra_strategies)[0]
        return mask

    def render(self) -> Any:
        """Return the episode so far as text or as an RGB image, (500, 600, 3); None without a render mode."""
        if self.render_mode is None:
            return None
        task = self._progress.task
        draw = frames.as_text if self.render_mode == "ansi" else frames.as_picture
        return draw(task, self.replies)

    def close(self) -> None:
        """Close the connection to the server, if any."""
        if isinstance(self._core, RemoteEnv):
            self._core.close()

    def _observe(self, reply: Reply) -> Any:
        self._progress.see(reply)
        if self.observations == "options":
            self._history.see(reply)
            return self._history.state().astype(np.float32)
        return spaces.lane(self.observations, spaces.observe(self.observations, self._progress), 0)
