"""The Gymnasium environment: for Stable-Baselines3, RLlib and their like, in process or on a running server.

    gymnasium.make("dataselect_env.gym:DataSelect-Hard-v0")
    gymnasium.make("dataselect_env.gym:DataSelect-Hard-v0", url="ws://localhost:7860")

Gymnasium comes with the extra ``gym``; no other module of the package but those beside this one imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from dataselect_env.core.arrays import Mask
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import DEFAULT_REWARD_MODE, Reply, RewardMode
from dataselect_env.core.tasks import DEFAULT_SPLIT, DEFAULT_TASK, SEED_LIMIT, Split, Task, get_split, get_task
from dataselect_env.custom.task_file import load_tasks
from dataselect_env.gym import spaces
from dataselect_env.gym.spaces import ActionKind, ObservationKind
from dataselect_env.integrations.remote import RemoteEnv
from dataselect_env.policies.features import EpisodeProgress
from dataselect_env.rendering import frames

OPTIONS = ("task_id", "split")
"""What the options of a reset may name, for the one episode that it starts."""


def read_options(options: Mapping[str, Any] | None, task: Task, split: Split) -> tuple[Task, Split]:
    """Return task and split of the next episode: those named in the options of a reset, or those given.

    Raises:
        InvalidInput: An option that does not exist.
        UnknownTask, UnknownSplit: No such thing.
    """
    options = options or {}
    if unknown := options.keys() - set(OPTIONS):
        raise InvalidInput(
            f"options: there is no {', '.join(map(repr, sorted(unknown)))}; allowed are {', '.join(OPTIONS)}",
            field="options",
        )
    chosen = get_task(options.get("task_id", task.task_id))
    if chosen.extra_strategies != task.extra_strategies:
        raise InvalidInput(
            f"options: {chosen.task_id} offers other strategies than {task.task_id}, and so other actions; make an"
            " environment for it",
            field="options",
        )
    return chosen, get_split(options.get("split", split.name))


def choose_seed(seed: int | None, split: Split, rng: np.random.Generator) -> int:
    """Return the seed of the episode that ``reset(seed=seed)`` starts: that one, or one drawn from ``split``."""
    if seed is not None and seed < SEED_LIMIT:
        return seed
    return split.first_seed + int(rng.integers(split.seeds))


class DataSelectGymEnv(gymnasium.Env[Any, Any]):
    """One task as a Gymnasium environment.

    ``reset(seed=n)`` plays exactly the episode of seed n, as on every other transport; a reset without a seed draws one
    from ``split``. Its ``options`` may name another ``task_id`` or ``split`` for one episode; all built-in tasks have
    the same spaces, and so have all that offer the same strategies.

    Whatever ends an episode ends the task: it is graded, and nothing that could be earned comes after it. So the end is
    ``terminated``, also after ``max_steps`` actions, a number that the task states and the observation counts; an
    algorithm must not bootstrap from there. ``truncated`` is left to ``gymnasium.make(..., max_episode_steps=n)``.

    ``info`` holds ``task_id``, ``seed`` and ``step``, and after a step what
    :class:`~dataselect_env.core.models.StepInfo` tells, without what there is not: ``end_reason`` and ``grade`` come at
    the end, ``noise_ratio``, ``redundancy`` and ``gain`` when something was bought.

    Attributes:
        replies: The reply to the reset, then one a step: what a :class:`~dataselect_env.policies.Policy` reads.
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
    ) -> None:
        """Prepare a task.

        Args:
            task_id: Name of the task.
            observations: ``flat``: ``features.FEATURES``, (21,), in [-1, 1]. ``dict``: the fields of an observation as
                they are, and the number of the ``step``, each (1,).
            actions: ``box``: ``features.ACTIONS``, (5,), in [-1, 1]. ``multi_discrete``: stop or a size, and a weight
                for each strategy. ``discrete``: an entry of ``spaces.MENU``.
            split: Where a reset without a seed draws its seed from.
            reward_mode: ``shaped`` or ``grade``.
            url: Address of a running server to play on; None plays in process.
            render_mode: ``ansi``, ``rgb_array`` (needs matplotlib) or None.
            task_file: File with tasks of your own, loaded first, in whatever process the environment is made; to play
                one on a server, that server must have loaded it too.

        Raises:
            TaskFileError: The task file cannot be used.
            UnknownTask, UnknownSplit: No such thing.
            InvalidInput: Another argument has a value that it must not have.
            CannotPlot: Pictures need matplotlib, which is not installed.
        """
        if task_file is not None:
            load_tasks(task_file)
        self.task, self.split = get_task(task_id), get_split(split)
        spaces.check_kind("reward_mode", reward_mode, RewardMode)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise InvalidInput(
                f"render_mode: should be ansi, rgb_array or None, not {render_mode!r}", field="render_mode"
            )
        if render_mode == "rgb_array":
            frames.check()
        self.observations, self.actions, self.reward_mode = observations, actions, reward_mode
        self.observation_space = spaces.observation_space(observations)
        self.action_space = spaces.action_space(actions, self.task.extra_strategies)
        self.render_mode = render_mode
        self._core: DataSelectEnv | RemoteEnv = RemoteEnv(url) if url is not None else DataSelectEnv()
        self._progress = EpisodeProgress(self.task)
        self.replies: list[Reply] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Of the episode. None draws one; so does a seed from 2^32 on, as some libraries give it, which starts
                the stream of draws.
            options: ``task_id`` and ``split``, see the class.

        Raises:
            EnvError: Options are not what they must be, or the server refuses.
            gymnasium.error.Error: The seed is negative or no integer.
        """
        super().reset(seed=seed, options=options)
        task, split = read_options(options, self.task, self.split)
        chosen = choose_seed(seed, split, self.np_random)
        reply = self._core.reset(task_id=task.task_id, seed=chosen, reward_mode=self.reward_mode)
        self.replies, self._progress = [reply], EpisodeProgress(task)
        return self._see(reply), info_of(reply)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play one action; arguments and results are those of Gymnasium.

        Raises:
            InvalidInput: It is no action.
            NoEpisode: Before the first reset.
            EpisodeOver: After the end.
            RemoteError: The connection to the server was lost; the next reset tries again.
        """
        progress = self._progress
        choices = spaces.read_actions(
            self.actions, progress.budget, progress.max_steps, np.asarray(action)[None], self.task.extra_strategies
        )
        reply = self._core.step(choices.action(0))
        self.replies.append(reply)
        return self._see(reply), reply.reward or 0.0, reply.done, False, info_of(reply)

    def action_masks(self) -> Mask:
        """Return which choices mean something now, as sb3-contrib's ``MaskablePPO`` asks: see ``spaces.masks``.

        Raises:
            InvalidInput: Box actions have no masks.
        """
        mask: Mask = spaces.masks(self.actions, self._progress, self.task.extra_strategies)[0]
        return mask

    def render(self) -> Any:
        """Return the episode so far as text, or as a picture, (500, 600, 3); None when no render mode was chosen."""
        if self.render_mode is None:
            return None
        task = self._progress.task
        draw = frames.as_text if self.render_mode == "ansi" else frames.as_picture
        return draw(task, self.replies)

    def close(self) -> None:
        """Close the connection to the server, if there is one."""
        if isinstance(self._core, RemoteEnv):
            self._core.close()

    def _see(self, reply: Reply) -> Any:
        self._progress.see(reply)
        return spaces.lane(self.observations, spaces.observe(self.observations, self._progress), 0)


def info_of(reply: Reply) -> dict[str, Any]:
    """Return what a reply tells beside observation and reward.

    What is None is left out, so that infos of several environments can be collected in arrays; so is the episode id,
    which is random.
    """
    told = reply.info.model_dump(exclude_none=True) if reply.info is not None else {}
    return {"task_id": reply.task_id, "seed": reply.seed, "step": reply.step, **told}
