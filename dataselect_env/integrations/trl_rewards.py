"""TRL: reward functions beside the grade, for ``GRPOTrainer(reward_funcs=[...])`` with ``DataSelectToolEnv``.

    GRPOTrainer(
        reward_funcs=[format_reward, performance_reward],
        environment_factory=DataSelectToolEnv,
        args=GRPOConfig(reward_weights=[0.1, 0.0], ...),  # the grade has the weight 1
        ...
    )

A model that cannot call tools yet has a grade of 0 in all rollouts of a group, from which GRPO learns nothing;
``format_reward`` still tells these rollouts apart. The parts of the grade are of use with a weight of 0, which logs
them, or to stress one of them. None of these changes a grade.

Every function returns a number in [0, 1] for each rollout, as TRL 1.16 passes them: ``environments`` holds the
environment of each.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataselect_env.integrations.trl_env import DataSelectToolEnv


def format_reward(environments: Sequence[DataSelectToolEnv], **_columns: object) -> list[float]:
    """Return the share of calls with a valid action, 0 without a call.

    It sees calls that reach the environment: not those of unknown tools, and not text that TRL cannot read as a call.
    """
    return [(env.calls - env.mistakes) / env.calls if env.calls else 0.0 for env in environments]


def finished_reward(environments: Sequence[DataSelectToolEnv], **_columns: object) -> list[float]:
    """Return 1 for a rollout that played its episode to the end, else 0."""
    return [float(env.grade is not None) for env in environments]


def performance_reward(environments: Sequence[DataSelectToolEnv], **_columns: object) -> list[float]:
    """Return the performance score of the grade, 0 for an unfinished episode."""
    return [_part(env, "performance_score") for env in environments]


def noise_reward(environments: Sequence[DataSelectToolEnv], **_columns: object) -> list[float]:
    """Return the noise score of the grade, 0 for an unfinished episode."""
    return [_part(env, "noise_score") for env in environments]


def efficiency_reward(environments: Sequence[DataSelectToolEnv], **_columns: object) -> list[float]:
    """Return the efficiency of the grade, 0 for an unfinished episode."""
    return [_part(env, "efficiency") for env in environments]


def _part(env: DataSelectToolEnv, name: str) -> float:
    return 0.0 if env.grade is None else float(getattr(env.grade.breakdown, name))
