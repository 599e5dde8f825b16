"""The guide says what decides a score, in numbers of the task, and a player who reads nothing but text plays by it."""

from __future__ import annotations

import re
from dataclasses import replace
from statistics import mean

import pytest

from dataselect_env.core.grading import score, scoring_of
from dataselect_env.core.tasks import PINNED, SPLITS, TASKS, Task
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.integrations.dialogue import Dialogue
from dataselect_env.integrations.rows import opening
from dataselect_env.policies import get_policy
from dataselect_env.rendering.guide import AUDIT_FROM_ESTIMATE, guide
from dataselect_env.rendering.prompts import instructions

SEEDS = range(SPLITS["test"].first_seed, SPLITS["test"].first_seed + 30)


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, pattern
    return float(found[1])


class Reader:
    """Plays from the system prompt and the messages alone, by what the guide says.

    Args:
        prompt: The system prompt.
    """

    def __init__(self, prompt: str) -> None:
        self.steps = int(number(r"in at most (\d+) steps", prompt))
        self.probe = int(number(r"a first batch of (\d+) by uncertainty alone", prompt))
        self.passes = int(number(r"so one of more than (\d+) samples", prompt))
        self.audits: list[float] = []

    def answer(self, message: str) -> str:
        """Return the answer to a message."""
        left = int(number(r"remaining_budget: (\d+)", message))
        step = int(number(r"step: (\d+)", message))
        if step:
            self.audits.append(number(r"noise_ratio ([\d.]+)", message))
        if left < self.probe:
            return '{"action_type": "stop"}'
        share = -(-left // (self.steps - step))
        if not step:
            strategy, size = "uncertainty", self.probe
        elif self.audits[0] > 0.5:
            strategy, size = "diversity", max(share, self.passes * 2 // 3)
        elif max(self.audits) > 0.3:
            strategy, size = "random", max(share, self.passes * 2 // 3)
        else:
            strategy, size = "uncertainty", max(share, self.passes * 12 // 5)
        return f'Audits: {self.audits}. {{"batch_size": {size}, "strategy_weights": {{"{strategy}": 1}}}}'


@pytest.mark.parametrize("task_id", PINNED)
def test_a_player_who_only_reads_reaches_the_grade_of_probing(task_id: str) -> None:
    prompt = opening(task_id)[0]["content"]
    differences = []
    for seed in SEEDS:
        reader, dialogue = Reader(prompt), Dialogue(task_id, seed)
        while dialogue.grade is None:
            dialogue.answer(reader.answer(dialogue.observation))
        assert dialogue.mistakes == 0
        probing = rollout(get_policy("probing"), task_id, seed)
        differences.append(dialogue.grade.score - probing.grade.score)
    assert mean(differences) >= -1e-9


@pytest.mark.parametrize("task", [TASKS[name] for name in PINNED], ids=PINNED)
def test_its_formulas_are_those_of_the_grade(task: Task) -> None:
    text, (low, high) = guide(task), task.performance_range
    assert f"low {low:g} and high {high:g}" in text
    bought = round(0.8 * task.budget)
    scoring = scoring_of(task)
    before, after = (score(scoring, bought, wrong, (low + high) / 2) for wrong in (5, 6))
    if task.noise_weight:
        price = number(r"price of a wrong label: .*, ([\d.]+) / bought", text) / bought
        assert before.score - after.score == pytest.approx(price)
        assert number(r"once ([\d.]+) samples are bought", text) == 0.4 * task.budget
    else:
        assert "price of a wrong label: only the performance" in text
        assert before.score == after.score
    dearer = score(scoring, bought + 1, 5, (low + high) / 2)
    if task.efficiency_weight:
        price = number(r"price of a sample: ([\d.]+) x", text) * before.performance
        assert before.score - dearer.score == pytest.approx(price, abs=1e-5)
    else:
        assert dearer.score >= before.score
        assert "price of a sample: none" in text


def test_it_says_no_number_that_a_problem_draws() -> None:
    text = guide(TASKS["open"])
    assert "low and high of the problem" in text
    assert "elsewhere in each problem" in text
    assert "audited" not in guide(replace(TASKS["open"], audited=False, budget=99))


def test_an_agent_that_sees_only_observations_is_told_how_to_audit() -> None:
    text = instructions(TASKS["hard"], observation_only=True)
    assert AUDIT_FROM_ESTIMATE in text
    assert "neither a reward nor" in text
    reply = rollout(get_policy("probing"), "hard", 3).replies[1]
    assert reply.info is not None
    strength = number(r"noise_estimate = \((\d+) x", text)
    bought = reply.info.batch_size
    wrong = reply.observation.noise_estimate * (strength + bought) - strength * TASKS["hard"].flip_y
    assert wrong == pytest.approx(reply.info.mislabelled)
    assert AUDIT_FROM_ESTIMATE not in instructions(TASKS["hard"])
