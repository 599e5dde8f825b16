"""Rows of prompts name the episode that they play and open its conversation."""

from __future__ import annotations

import pytest

from dataselect_env.core.errors import UnknownTask
from dataselect_env.core.tasks import SPLITS, TASKS, split_of
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.integrations.rows import TRAIN_SEEDS, easiest_first, joined, opening, prompt_rows
from dataselect_env.policies import get_policy
from dataselect_env.rendering.prompts import example_answer


def test_by_default_there_is_a_row_for_each_task_and_seed_of_the_train_split() -> None:
    rows = prompt_rows()
    episodes = {(row["task_id"], row["seed"]) for row in rows}
    assert len(episodes) == len(rows) == len(TASKS) * len(TRAIN_SEEDS)
    assert {split_of(seed) for _, seed in episodes} == {SPLITS["train"].name}


@pytest.mark.parametrize("task_id", TASKS)
def test_only_an_agent_that_answers_in_text_is_told_how_to_write_an_action(task_id: str) -> None:
    text, tools = opening(task_id), opening(task_id, tools=True)
    assert [message["role"] for message in text] == ["system", "user"]
    assert example_answer() in text[0]["content"]
    assert example_answer() not in tools[0]["content"]
    for messages in (text, tools):
        assert TASKS[task_id].success_criteria in messages[0]["content"]
        assert task_id in messages[1]["content"]


def test_what_is_joined_stands_at_the_end_and_the_row_is_not_changed() -> None:
    prompt = opening("hard")
    longer = joined(prompt, "step: 0")
    assert longer[-1] == {"role": "user", "content": prompt[-1]["content"] + "\n\nstep: 0"}
    assert longer[:-1] == prompt[:-1]
    assert prompt == opening("hard")


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UnknownTask):
        prompt_rows(["harder"])


def test_a_curriculum_begins_with_seeds_that_give_much_away() -> None:
    order = easiest_first("open", range(6))
    scores = [rollout(get_policy("random"), "open", seed).grade.score for seed in order]
    assert sorted(order) == list(range(6))
    assert scores == sorted(scores, reverse=True)
    assert order != list(range(6))
    by_stop = easiest_first("hard", range(3), policy="stop")
    assert sorted(by_stop) == [0, 1, 2]
    assert [row["seed"] for row in prompt_rows(["open"], order)] == order
