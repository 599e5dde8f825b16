"""One episode as a conversation, for consumers whose agents answer in text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, Grade, Reply, RewardMode
from dataselect_env.core.problem import as_described
from dataselect_env.core.tasks import get_task
from dataselect_env.evaluation.rollout import Environment
from dataselect_env.rendering.prompts import parse_answer, render_reply

TURNS_A_STEP = 2
"""Default number of turns per step of the task."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The environment's turn after an answer of the agent.

    Attributes:
        text: The next message to the agent: an observation, or why its answer could not be used.
        reward: Reward of the step; 0 if none was played.
        done: Whether the episode is over.
    """

    text: str
    reward: float
    done: bool


class Dialogue:
    """One episode, played in text. At the last turn the dialogue stops the episode for the agent.

    Example:
        >>> dialogue = Dialogue("hard", seed=7)
        >>> dialogue.answer("I do not know.").done
        False
        >>> turn = dialogue.answer('{"action_type": "stop", "batch_size": 0, "strategy_weights": {"random": 1}}')
        >>> turn.done, turn.reward == dialogue.grade.score, dialogue.mistakes
        (True, True, 1)

    Attributes:
        reply: The last reply of the environment.
        episode_return: Sum of the rewards so far; under reward mode ``grade`` the grade if the episode ended now. At
            the end the format reward, if there is one, is added.
        turns: Answers so far.
        mistakes: Number of answers without a valid action.
    """

    def __init__(
        self,
        task_id: str,
        seed: int | None = None,
        *,
        max_turns: int | None = None,
        reward_mode: RewardMode = "grade",
        format_reward: float = 0.0,
        env: Environment | None = None,
    ) -> None:
        """Start the episode.

        Args:
            task_id: Name of the task.
            seed: In [0, 2^32); None draws one from the train split.
            max_turns: Number of answers, at least 1, after which the episode is stopped; default: two per step.
            reward_mode: ``grade`` (rewards add up to the grade) or ``shaped``.
            format_reward: Paid at the end of the episode, times the share of answers with a valid action: in [0, 1].
                It tells answers of a model apart that cannot play yet. The grade does not depend on it.
            env: Environment to play in; default: a new one in this process.

        Raises:
            EnvError: The task is unknown, or the seed, the number of turns or the format reward is out of range.
        """
        task = get_task(task_id)
        if max_turns is not None and max_turns < 1:
            raise InvalidInput("max_turns: should be at least 1", field="max_turns")
        if not 0 <= format_reward <= 1:
            raise InvalidInput("format_reward: should be a number from 0 to 1", field="format_reward")
        self._format_reward: Final = format_reward
        self._env: Final[Environment] = env or DataSelectEnv()
        self.reply: Reply = self._env.reset(task_id=task_id, seed=seed, reward_mode=reward_mode)
        self._task: Final = as_described(task, self.reply.problem)
        self._max_turns: Final = TURNS_A_STEP * self._task.max_steps if max_turns is None else max_turns
        self.episode_return = 0.0
        self.turns = 0
        self.mistakes = 0

    @property
    def observation(self) -> str:
        """The last observation as text."""
        return render_reply(self._task, self.reply)

    @property
    def grade(self) -> Grade | None:
        """The grade of the episode; None before its end."""
        return None if self.reply.info is None else self.reply.info.grade

    def answer(self, text: str) -> Turn:
        """Play the action in an answer of the agent. An answer without a valid action only uses up a turn.

        Raises:
            EpisodeOver: The episode has ended.
        """
        before, self.turns = self.episode_return, self.turns + 1
        try:
            self._play(parse_answer(text, self._task))
            message = self.observation
        except InvalidInput as error:
            self.mistakes += 1
            message = error.message
        if self.turns >= self._max_turns and not self.reply.done:
            self._play(Action.stop())
            message = self.observation
        if self.reply.done:
            self.episode_return += self._format_reward * (1 - self.mistakes / self.turns)
        return Turn(message, self.episode_return - before, self.reply.done)

    def _play(self, action: Action) -> None:
        self.reply = self._env.step(action)
        self.episode_return += self.reply.reward or 0.0
