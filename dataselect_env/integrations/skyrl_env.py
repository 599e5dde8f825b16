"""SkyRL: the environment as a ``BaseTextEnv``, for ``skyrl_gym.register`` and SkyRL's trainers.

The contract is that of skyrl-gym 0.4: ``init`` opens the conversation, ``step`` takes the model's answer and returns
the reward of the turn. SkyRL's generator creates one environment for each trajectory, with the row of the data set as
``extras``, to which it adds ``max_turns``.
"""

from __future__ import annotations

from typing import Any

import skyrl_gym
from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput

from dataselect_env.core.errors import NoEpisode
from dataselect_env.core.tasks import DEFAULT_TASK
from dataselect_env.integrations.dialogue import Dialogue
from dataselect_env.integrations.rows import Message, joined

ENV_CLASS = "dataselect"
"""Value of ``env_class`` in a row."""


class DataSelectTextEnv(BaseTextEnv):
    """One episode in text. The rewards add up to the grade, even if the trajectory is truncated.

    With ``format_reward`` in the row they add up to more: see :class:`~dataselect_env.integrations.dialogue.Dialogue`.

    Rows of :func:`~dataselect_env.integrations.rows.prompt_rows` have the fields that it reads: ``task_id`` and
    ``seed``. An answer without a valid action earns nothing, and the next message explains why. At the last turn the
    episode is stopped.
    """

    def __init__(self, env_config: object = None, extras: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Prepare one trajectory.

        Args:
            env_config: Not used; SkyRL passes it to every environment.
            extras: The row: ``task_id``, ``seed``, ``reward_mode`` (default: ``grade``), ``format_reward`` (default: 0)
                and ``max_turns``.
        """
        super().__init__()
        self._row = extras or {}
        self._dialogue: Dialogue | None = None

    def init(self, prompt: list[Message]) -> tuple[list[Message], dict[str, Any]]:
        """Start the episode and return the row's prompt with the first observation.

        Raises:
            EnvError: The row has an unknown task or an invalid seed or reward mode.
        """
        row = self._row
        self._dialogue = Dialogue(
            row.get("task_id") or DEFAULT_TASK,
            row.get("seed"),
            max_turns=row.get("max_turns"),
            reward_mode=row.get("reward_mode") or "grade",
            format_reward=row.get("format_reward") or 0.0,
        )
        reply = self._dialogue.reply
        return joined(prompt, self._dialogue.observation), {"task_id": reply.task_id, "seed": reply.seed}

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """Play the model's answer.

        Raises:
            NoEpisode: ``init`` was not called.
            EpisodeOver: The episode has ended.
        """
        if self._dialogue is None:
            raise NoEpisode("There is no episode; init starts one.")
        turn = self._dialogue.answer(action)
        self.turns = self._dialogue.turns
        observations = [] if turn.done else [{"role": "user", "content": turn.text}]
        return BaseTextEnvStepOutput(observations=observations, reward=turn.reward, done=turn.done, metadata={})

    def get_metrics(self) -> dict[str, Any]:
        """Return the metrics that SkyRL averages over trajectories: return, passed, steps and mistakes."""
        dialogue = self._dialogue
        if dialogue is None:
            return {}
        return {
            "episode_return": dialogue.episode_return,
            "passed": dialogue.grade is not None and dialogue.grade.passed,
            "steps": dialogue.reply.step,
            "mistakes": dialogue.mistakes,
        }


def register() -> None:
    """Register the environment for ``skyrl_gym.make("dataselect")``; call it in the process of SkyRL's trainer."""
    if ENV_CLASS not in skyrl_gym.registry:
        skyrl_gym.register(id=ENV_CLASS, entry_point=f"{__name__}:{DataSelectTextEnv.__name__}")
