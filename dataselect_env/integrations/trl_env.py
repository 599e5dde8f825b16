"""TRL: the environment for ``GRPOTrainer(environment_factory=DataSelectToolEnv)``.

The contract is that of trl 1.16: the trainer creates an object for each rollout and reuses it; ``reset`` gets the row
of the data set and returns text for the end of the prompt; every other public method is a tool, described to the model
by its type hints and docstring; an exception of a tool reaches the model as ``{"error": ...}``; ``get_reward`` returns
the reward of the whole rollout. TRL needs no base class, so this module does not import it.
"""

from __future__ import annotations

from typing import Final

from dataselect_env.core.actions import action_model
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import EnvError, InvalidInput
from dataselect_env.core.models import Action, Grade, Reply, RewardMode
from dataselect_env.core.problem import as_described
from dataselect_env.core.tasks import DEFAULT_TASK, get_task
from dataselect_env.core.validation import parse
from dataselect_env.evaluation.rollout import Environment
from dataselect_env.rendering.prompts import render_reply


class DataSelectToolEnv:
    """Episodes for an agent that calls tools; the reward of a rollout is the grade.

    If a rollout ends before its episode (the model stops calling tools, or a limit of the trainer truncates it), the
    reward is the grade of the episode so far. For other arguments, use ``functools.partial``:
    ``environment_factory=partial(DataSelectToolEnv, reward_mode="shaped")``.
    :mod:`dataselect_env.integrations.trl_rewards` has further reward functions.

    Attributes:
        calls: Number of calls of tools in the episode.
        mistakes: Number of them without a valid action.
        grade: Grade of the episode; None before its end.
    """

    def __init__(self, *, reward_mode: RewardMode = "grade", env: Environment | None = None) -> None:
        """Create an environment without an episode.

        Args:
            reward_mode: ``grade`` (rewards add up to the grade) or ``shaped``.
            env: Environment to play in; default: a new one in this process.
        """
        self._reward_mode: Final[RewardMode] = reward_mode
        self._env: Final[Environment] = env or DataSelectEnv()
        self._task = get_task(DEFAULT_TASK)
        self._begin()

    def _begin(self) -> None:
        self._return = 0.0
        self.calls = 0
        self.mistakes = 0
        self.grade: Grade | None = None

    def reset(self, task_id: str | None = None, seed: int | None = None, **_row: object) -> str:
        """Start the episode of a row and return the first observation. Other columns of the row are ignored.

        Raises:
            EnvError: The row has an unknown task or an invalid seed.
        """
        self._begin()
        reply = self._env.reset(task_id=task_id or DEFAULT_TASK, seed=seed, reward_mode=self._reward_mode)
        self._task = as_described(get_task(reply.task_id), reply.problem)
        return f"\n\n{self._rendered(reply)}"

    def select_batch(
        self,
        batch_size: int,
        uncertainty: float = 0.0,
        diversity: float = 0.0,
        random: float = 0.0,
        further: dict[str, float] | None = None,
    ) -> str:
        """Buy a batch of training samples and train on it.

        Args:
            batch_size: Samples to buy; raised to the smallest batch, and cut to what budget and pool still hold.
            uncertainty: Weight of uncertainty sampling, at least 0. Only the ratios of the weights matter.
            diversity: Weight of diversity sampling, at least 0.
            random: Weight of random sampling, at least 0.
            further: Weights of further strategies that the task offers, by name, each at least 0.

        Returns:
            The new observation.
        """
        weights = {"uncertainty": uncertainty, "diversity": diversity, "random": random, **(further or {})}
        choice = {"action_type": "select_batch", "batch_size": batch_size, "strategy_weights": weights}
        self.calls += 1
        try:
            action = parse(action_model(self._task.extra_strategies), choice)
        except InvalidInput:
            self.mistakes += 1
            raise
        return self._play(action)

    def stop(self) -> str:
        """End the episode and keep the rest of the budget.

        Returns:
            The last observation and the grade.
        """
        self.calls += 1
        return self._play(Action.stop())

    def get_reward(self) -> float:
        """Return the sum of the episode's rewards so far."""
        return self._return

    def _play(self, action: Action) -> str:
        try:
            reply = self._env.step(action)
        except EnvError:  # the episode is over
            self.mistakes += 1
            raise
        self._return += reply.reward or 0.0
        self.grade = None if reply.info is None else reply.info.grade
        return self._rendered(reply)

    def _rendered(self, reply: Reply) -> str:
        return render_reply(self._task, reply)
