import json
import re
import sys

import pytest

from dataselect_env import Action, DataSelectEnv
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import ObservationFields
from dataselect_env.core.problem import as_described
from dataselect_env.core.tasks import TASKS, Task
from dataselect_env.rendering import prompts

tasks = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@tasks
def test_the_system_prompt_has_every_number_of_the_task_and_answers_that_can_be_read(task: Task) -> None:
    prompt = prompts.system_prompt(task)
    for told in (task.summary, task.success_criteria, task.score_formula, f"{task.flip_y:g}"):
        assert told in prompt
    assert f"{task.budget} samples, in at most {task.max_steps} steps" in prompt
    for name, field in ObservationFields.model_fields.items():
        assert name == "metadata" or f"{name}: {field.description}" in prompt
    answers = [prompts.parse_answer(line) for line in prompt.splitlines() if line.startswith("{")]
    assert [answer.action_type for answer in answers] == ["select_batch", "stop"]
    assert ("efficiency: " in prompt) == bool(task.efficiency_weight)


@tasks
def test_a_reply_tells_what_a_policy_may_look_at(task: Task) -> None:
    env = DataSelectEnv()
    first = env.reset(task_id=task.task_id, seed=1)
    known = as_described(task, first.problem)
    for reply in (first, env.step(Action.select(7, uncertainty=1, random=1))):
        told = dict(re.findall(r"^(\w+): (\S+)", prompts.render_reply(known, reply), re.MULTILINE))
        assert told["step"] == str(reply.step)
        for name in prompts.OBSERVED:
            assert json.loads(told[name]) == pytest.approx(getattr(reply.observation, name), abs=1e-4)
        if reply.info is not None:
            assert told["bought"] == "7"
            assert told.get("mislabelled") == (str(reply.info.mislabelled) if known.audited else None)
            assert float(told["reward"]) == pytest.approx(reply.reward, abs=1e-4)


def test_the_last_reply_tells_the_grade() -> None:
    env = DataSelectEnv()
    env.reset(task_id="medium", seed=1)
    env.step(Action.select(50, diversity=1))
    text = prompts.render_reply(TASKS["medium"], last := env.step(Action.stop()))
    assert last.info is not None
    assert last.info.grade is not None
    assert "The episode is over: stop." in text
    assert f"score: {last.info.grade.score:.4f}" in text


BATCH = Action.select(10, uncertainty=0.5, random=0.5)


@pytest.mark.parametrize(
    "answer",
    [
        BATCH.model_dump_json(),
        '{"batch_size": 10, "strategy_weights": {"uncertainty": 0.5, "random": 0.5}}',
        '{"action_type": "select_batch", "batch_size": 10, "uncertainty": 0.5, "random": 0.5}',
        '{"batch_size": "10", "uncertainty": "0.5", "random": 0.5}',
        '{"batch_size": 10.0, "uncertainty": 0.5, "random": 0.5}',
        '{"action": {"batch_size": 10, "strategy_weights": {"uncertainty": 0.5, "random": 0.5}}}',
        '{"action": "select_batch", "batch_size": 10, "uncertainty": 0.5, "random": 0.5}',
        '{"name": "select_batch", "arguments": {"batch_size": 10, "uncertainty": 0.5, "random": 0.5}}',
        '{"tool": "select_batch", "parameters": {"batch_size": 10, "uncertainty": 0.5, "random": 0.5}}',
        'First {"batch_size": 99, "random": 1}? No:\n```json\n'
        '{"batch_size": 10, "uncertainty": 0.5, "random": 0.5}\n```\nI hope {this} helps.',
        '<think>{"batch_size": 1, "random": 1}</think>{"batch_size": 10, "uncertainty": 0.5, "random": 0.5}',
        '{"mood": {"good": 1}} {"batch_size": 10, "uncertainty": 0.5, "random": 0.5} {"note": "done"}',
    ],
)
def test_answers_that_mean_a_batch(answer: str) -> None:
    assert prompts.parse_answer(answer) == BATCH


@pytest.mark.parametrize(
    "answer",
    [
        '{"action_type": "stop"}',
        '{"action": "stop"}',
        '{"action": {"action_type": "stop"}}',
        '{"name": "stop", "arguments": {}}',
        '{"action_type": "stop", "batch_size": 0, "strategy_weights": {"uncertainty": 0}}',
        "Stop.",
        "<think>enough?</think> **stop**",
    ],
)
def test_answers_that_mean_to_stop(answer: str) -> None:
    assert prompts.parse_answer(answer) == Action.stop()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "There is no action in the answer"),
        ("I would stop if I were you, but go on.", "There is no action in the answer"),
        ('{"a": 1}', "There is no action in the answer"),
        ("{" * 100_000, "There is no action in the answer"),
        ('{"' * 100_000, "There is no action in the answer, but too much that is not valid JSON"),
        ('{"a":' * 100_000, "There is no action in the answer"),
        ('{"batch_size": 10', "There is no action in the answer"),
        ('{"batch_size": -1, "random": 1}', "batch_size: Input should be greater than or equal to 0"),
        ('{"batch_size": 2.5, "random": 1}', "batch_size: Input should be a valid integer"),
        ('{"batch_size": "ten", "random": 1}', "batch_size: Input should be a valid integer"),
        ('{"batch_size": 1e999, "random": 1}', "batch_size: Input should be a valid integer"),
        ('{"batch_size": 10}', "At least one weight"),
        ('{"batch_size": 10, "strategy_weights": {"entropy": 1}}', "unknown field"),
        ('{"batch_size": 10, "strategy_weights": "all"}', "strategy_weights: Input should be a JSON object"),
        ('{"batch_size": 10, "random": NaN}', "strategy_weights.random: Input should be a finite number"),
        ('{"action_type": ["stop"], "batch_size": 10, "random": 1}', "action_type: "),
    ],
)
def test_answers_that_mean_nothing_are_refused_with_a_reason(answer: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(reason)):
        prompts.parse_answer(answer)


@pytest.mark.parametrize(
    "part",
    ["{", "{ ", '{"', '{"a":', '{"a":[', '{"a":{},', '{"a":"', '{"a\\"', "{}", "{} ", '{"a":{}}', "}", '"{', "<think>"],
)
def test_the_work_on_an_answer_is_linear_in_its_length(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, work = part * (20_000 // len(part)), 0
    decode = json.JSONDecoder.raw_decode

    def counted(decoder: json.JSONDecoder, text: str, start: int) -> object:
        """Count the characters of what is read and, after a failure, of what comes before it: JSONDecodeError does."""
        nonlocal work
        try:
            found, end = decode(decoder, text, start)
        except ValueError as error:
            work += getattr(error, "pos", start) + 1
            raise
        except RecursionError:
            work += sys.getrecursionlimit() * len(part)
            raise
        work += end - start
        return found, end

    monkeypatch.setattr(json.JSONDecoder, "raw_decode", counted)
    with pytest.raises(InvalidInput, match="There is no action in the answer"):
        prompts.parse_answer(text)
    assert work <= (prompts.MAX_BROKEN_OBJECTS + 2) * len(text)


def test_an_answer_may_have_some_broken_objects() -> None:
    broken = 'No: {"batch_size: 10}, {"batch_size": }, {"a": {"b": 1}, {"batch_size": 5, '
    assert prompts.parse_answer(20 * broken + BATCH.model_dump_json()) == BATCH
    assert prompts.parse_answer('{"action": ' + BATCH.model_dump_json()) == BATCH  # a brace is missing
