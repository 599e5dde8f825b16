"""Chats have the messages of an episode that a language model plays, and the actions of the policy."""

from __future__ import annotations

from typing import Any

import pytest

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.tasks import TASKS
from dataselect_env.evaluation.rollout import Rollout, rollout
from dataselect_env.integrations.chats import Form, best, chat, count_tokens, tool_schemas
from dataselect_env.integrations.dialogue import Dialogue
from dataselect_env.integrations.rows import joined, opening
from dataselect_env.integrations.trl_env import DataSelectToolEnv
from dataselect_env.policies import get_policy


def played(task_id: str = "hard", policy: str = "probing", seed: int = 3) -> Rollout:
    return rollout(get_policy(policy), task_id, seed, reward_mode="grade")


@pytest.mark.parametrize("task_id", TASKS)
def test_the_answers_of_a_json_chat_play_the_same_episode(task_id: str) -> None:
    row = chat(played(task_id, "general"), "json")
    dialogue = Dialogue(task_id, 3)
    messages = row["messages"]
    assert messages[:2] == joined(opening(task_id), dialogue.observation)
    for answer, question in zip(messages[2::2], [*messages[3::2], None], strict=True):
        turn = dialogue.answer(answer["content"])
        assert question is None or question == {"role": "user", "content": turn.text}
    assert (dialogue.grade is not None, dialogue.mistakes, len(messages)) == (True, 0, 2 + 2 * row["steps"] - 1)
    assert dialogue.grade is not None
    assert dialogue.grade.score == row["score"]
    assert "tools" not in row


@pytest.mark.parametrize("policy", ["probing", "stop"])
def test_the_calls_of_a_chat_with_tools_play_the_same_episode(policy: str) -> None:
    row = chat(played(policy=policy))
    env = DataSelectToolEnv()
    messages = row["messages"]
    opened = opening("hard", tools=True)
    opened[-1]["content"] += env.reset(task_id="hard", seed=3)
    assert messages[:2] == opened
    assert messages[-1]["role"] == "assistant"
    assert "tool_calls" not in messages[-1]
    for call, result in zip(messages[2:-1:2], messages[3::2], strict=True):
        function = call["tool_calls"][0]["function"]
        assert result["content"] == getattr(env, function["name"])(**function["arguments"])
    assert env.get_reward() == pytest.approx(row["score"])


def test_tools_offer_the_strategies_of_the_task() -> None:
    select, stop = (tool["function"] for tool in tool_schemas(TASKS["hard"]))
    assert set(select["parameters"]["properties"]) == {"batch_size", "uncertainty", "diversity", "random"}
    assert stop["parameters"]["properties"] == {}
    wide = tool_schemas(TASKS["open"])[0]["function"]["parameters"]["properties"]
    assert set(wide) == {*select["parameters"]["properties"], *TASKS["open"].extra_strategies}


@pytest.mark.parametrize("form", ["tools", "json"])
def test_a_row_says_which_episode_it_is_and_what_it_is_worth(form: Form) -> None:
    episode = played()
    row = chat(episode, form)
    columns = {name: value for name, value in row.items() if name not in ("messages", "tools", "tokens")}
    assert columns == {
        "policy": "probing",
        "task_id": "hard",
        "seed": 3,
        "split": "train",
        "score": episode.grade.score,
        "passed": episode.grade.passed,
        "steps": len(episode.replies) - 1,
    }
    characters = count_tokens(row, len)
    assert 0 < row["tokens"] - characters / 3 < 40
    assert characters >= sum(len(message["content"]) for message in row["messages"])


def test_an_oracle_has_no_chats() -> None:
    with pytest.raises(InvalidInput, match="oracle plays without actions"):
        chat(played(policy="oracle"))


def test_the_best_are_chosen_for_each_task_and_keep_their_order() -> None:
    rows: list[dict[str, Any]] = [
        {"task_id": task, "score": score}
        for task, score in [("a", 0.1), ("b", 0.2), ("a", 0.5), ("a", 0.4), ("b", 0.2)]
    ]
    assert best(rows, 1) == [rows[1], rows[2]]
    assert best(rows, 2) == [rows[1], rows[2], rows[3], rows[4]]
    assert best(rows, 9) == rows
