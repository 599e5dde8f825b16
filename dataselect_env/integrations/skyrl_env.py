"""SkyRL: the environment as a ``BaseTextEnv``, for ``skyrl_gym.register`` and SkyRL's trainers.

The contract is that of skyrl-gym 0.4: ``init`` opens the conversation, ``step`` takes what the model wrote, and
rewards are given turn by turn. SkyRL's generator makes one environment for each trajectory, with the row of the data
set as ``extras`` and its own ``max_turns`` among them.
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
"""What a row's ``env_class`` says."""


class DataSelectTextEnv(BaseTextEnv):
    """One episode in text; the rewards of its turns add up to the grade, wherever the trajectory is cut off.

    Rows of :func:`~dataselect_env.integrations.rows.prompt_rows` have what it reads: ``task_id`` and ``seed``. An
    answer that is no action earns nothing and is told why; at the last turn the episode is stopped.
    """

    def __init__(self, env_config: object = None, extras: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Take the choices of one trajectory.

        Args:
            env_config: Not used; SkyRL passes it to every environment.
            extras: The row: ``task_id``, ``seed``, ``reward_mode`` (default ``grade``), and ``max_turns``.
        """
        super().__init__()
        self._row = extras or {}
        self._dialogue: Dialogue | None = None

    def init(self, prompt: list[Message]) -> tuple[list[Message], dict[str, Any]]:
        """Start the episode and return the row's prompt with the first observation in it.

        Raises:
            EnvError: The row names no task, seed or reward mode that there is.
        """
        row = self._row
        self._dialogue = Dialogue(
            row.get("task_id") or DEFAULT_TASK,
            row.get("seed"),
            max_turns=row.get("max_turns"),
            reward_mode=row.get("reward_mode") or "grade",
        )
        reply = self._dialogue.reply
        return joined(prompt, self._dialogue.observation), {"task_id": reply.task_id, "seed": reply.seed}

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """Play what the model wrote.

        Raises:
            NoEpisode: Before ``init``.
            EpisodeOver: After the end.
        """
        if self._dialogue is None:
            raise NoEpisode("There is no episode yet; init starts one.")
        turn = self._dialogue.answer(action)
        self.turns = self._dialogue.turns
        observations = [] if turn.done else [{"role": "user", "content": turn.text}]
        return BaseTextEnvStepOutput(observations=observations, reward=turn.reward, done=turn.done, metadata={})

    def get_metrics(self) -> dict[str, Any]:
        """Return what SkyRL averages over trajectories: the return, whether it passed, steps and mistakes."""
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
    """Make ``skyrl_gym.make("dataselect")`` work in this process; call it in the one that SkyRL's trainer runs in."""
    if ENV_CLASS not in skyrl_gym.registry:
        skyrl_gym.register(id=ENV_CLASS, entry_point=f"{__name__}:{DataSelectTextEnv.__name__}")
