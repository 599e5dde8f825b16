"""A conversation plays the very episode that its actions play, and ends whatever the agent writes."""

from __future__ import annotations

import json

import pytest

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import EpisodeOver, InvalidInput, UnknownTask
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import PINNED, TASKS
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.integrations.dialogue import TURNS_A_STEP, Dialogue
from dataselect_env.policies import get_policy
from dataselect_env.policies.reference import BEST_CONSTANTS
from dataselect_env.rendering.prompts import render_reply, stop_answer

BUY = Action.select(13, diversity=1)
ANSWER = json.dumps(BUY.model_dump(exclude={"metadata"}))


@pytest.mark.parametrize("task_id", PINNED)
def test_its_return_is_the_grade_of_the_same_episode(task_id: str) -> None:
    played = rollout(get_policy("best-constant"), task_id, 20_001)
    answer = json.dumps(BEST_CONSTANTS[task_id].model_dump(exclude={"metadata"}))
    dialogue, total, done = Dialogue(task_id, 20_001), 0.0, False
    while not done:
        turn = dialogue.answer(answer)
        total, done = total + turn.reward, turn.done
    assert dialogue.grade == played.grade
    assert total == dialogue.episode_return == pytest.approx(played.grade.score)
    assert dialogue.mistakes == 0


@pytest.mark.parametrize("seed", [1, 2, 20_001])
def test_it_plays_open_by_the_numbers_of_the_problem(seed: int) -> None:
    dialogue = Dialogue("open", seed)
    problem = dialogue.reply.problem
    assert problem is not None
    assert dialogue.observation.startswith("The problem of this episode:\n")
    assert f"step: 0 of {problem.max_steps}" in dialogue.observation
    answer = '{"batch_size": 5, "strategy_weights": {"confident_random": 1}}'
    turn = dialogue.answer(answer)
    assert turn.text.startswith(f"step: 1 of {problem.max_steps}\n")
    assert ("mislabelled: " in turn.text) == problem.audited
    while not turn.done:
        turn = dialogue.answer("What?")
    assert dialogue.turns == 2 * problem.max_steps
    assert (dialogue.reply.step, dialogue.mistakes) == (2, 2 * problem.max_steps - 1)


def test_it_tells_what_the_environment_replies() -> None:
    dialogue, env = Dialogue("hard", 7), DataSelectEnv()
    reply = env.reset(task_id="hard", seed=7, reward_mode="grade")
    assert dialogue.observation == render_reply(TASKS["hard"], reply)
    reply = env.step(BUY)
    turn = dialogue.answer(ANSWER)
    assert (turn.text, turn.reward, turn.done) == (render_reply(TASKS["hard"], reply), reply.reward, False)


def test_an_answer_without_an_action_changes_nothing_and_is_told_why() -> None:
    dialogue = Dialogue("hard", 7)
    before = dialogue.reply
    for text in ("", "I buy ten.", '{"batch_size": -1, "random": 1}'):
        turn = dialogue.answer(text)
        assert (turn.reward, turn.done) == (0.0, False)
        assert turn.text
    assert "batch_size" in turn.text
    assert dialogue.reply is before
    assert (dialogue.mistakes, dialogue.turns) == (3, 3)


def test_at_the_last_turn_it_stops_for_the_agent() -> None:
    dialogue = Dialogue("hard", 7, max_turns=2)
    assert not dialogue.answer(ANSWER).done
    turn = dialogue.answer("Let me think.")
    assert turn.done
    assert dialogue.reply.info is not None
    assert dialogue.reply.info.end_reason == "stop"
    assert dialogue.grade is not None
    assert dialogue.episode_return == pytest.approx(dialogue.grade.score)
    with pytest.raises(EpisodeOver):
        dialogue.answer(ANSWER)


def test_an_agent_that_never_answers_is_stopped() -> None:
    dialogue, turns = Dialogue("easy", 7), 1
    while not dialogue.answer("?").done:
        turns += 1
    assert turns == TURNS_A_STEP * TASKS["easy"].max_steps


def test_other_rewards_and_other_environments_may_be_chosen() -> None:
    env = DataSelectEnv()
    dialogue = Dialogue("hard", 7, reward_mode="shaped", env=env)
    dialogue.answer(stop_answer())
    assert env.state.reward_mode == "shaped"
    assert env.state.done


def test_what_cannot_be_played_is_refused() -> None:
    with pytest.raises(UnknownTask):
        Dialogue("harder")
    with pytest.raises(InvalidInput, match="max_turns"):
        Dialogue("hard", max_turns=0)
    with pytest.raises(InvalidInput, match="seed"):
        Dialogue("hard", -1)


def test_a_format_reward_is_paid_at_the_end_and_leaves_the_grade_alone() -> None:
    plain, paid = Dialogue("hard", 7), Dialogue("hard", 7, format_reward=0.2)
    batch = '{"batch_size": 13, "diversity": 1}'
    for text in ("What?", batch, batch, '{"action_type": "stop"}'):
        without, with_reward = plain.answer(text), paid.answer(text)
        assert with_reward.text == without.text
        assert with_reward.reward == pytest.approx(without.reward + 0.2 * 3 / 4 * without.done)
    assert paid.grade == plain.grade
    assert paid.grade is not None
    assert paid.episode_return == pytest.approx(paid.grade.score + 0.15)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidInput, match="format_reward"):
            Dialogue("hard", 7, format_reward=wrong)
