"""Inspect AI evaluates two scripted models on the task that the package registers.

pip install ".[inspect]" && python -m bench.consumers.inspect_ai
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable

from inspect_ai import eval as evaluate
from inspect_ai.log import EvalLog
from inspect_ai.model import ChatMessage, ModelOutput, ModelUsage, get_model

from bench.consumers.answers import answer
from bench.consumers.record import SEEDS, recorded, scores
from dataselect_env.core.tasks import PINNED, TASKS
from dataselect_env.integrations.dialogue import TURNS_A_STEP

TASK = "dataselect_env/data_selection"


def knowing(messages: list[ChatMessage]) -> str:
    """Return the answer of the scripted model; the first messages of the conversation name the task."""
    return answer(next(task for task in PINNED if f"the task {task}." in messages[1].text))


def clueless(_messages: list[ChatMessage]) -> str:
    return "I do not know."


def play(write: Callable[[list[ChatMessage]], str], episodes: int, folder: str) -> EvalLog:
    """Return the log of an evaluation of the model with these answers."""

    def respond(messages: list[ChatMessage], *_: object) -> ModelOutput:
        output = ModelOutput.from_content("mockllm", write(messages))
        output.usage = ModelUsage()  # counting it would need a download
        return output

    model = get_model("mockllm/model", custom_outputs=respond)
    (log,) = evaluate(TASK, model=model, task_args={"episodes": episodes}, log_dir=folder, display="none")
    return log


def main() -> None:
    sys.path.pop(
        0
    )  # so that the task is found through the installed package, not through files of a build in the checkout
    with recorded("inspect_ai", "inspect", ["inspect-ai"]) as record, tempfile.TemporaryDirectory() as folder:
        log = play(knowing, len(SEEDS), folder)
        record.claim(log.status == "success", f"a scripted model is evaluated on {TASK}, found by its name")
        expected = scores()
        found = {
            (sample.metadata["task_id"], sample.metadata["seed"]): sample.scores["episode_grade"].value
            for sample in log.samples
        }
        record.claim(found == expected, f"the scores of {len(found)} samples equal the package's own grades")
        metrics = {name: metric.value for score in log.results.scores for name, metric in score.metrics.items()}
        record.claim({*PINNED, "all"} <= set(metrics), "the report has the mean grade of each task and of all")
        log = play(clueless, 1, folder)
        turns = {
            sample.metadata["task_id"]: sum(message.role == "assistant" for message in sample.messages)
            for sample in log.samples
        }
        allowed = {task_id: TURNS_A_STEP * task.max_steps for task_id, task in TASKS.items() if task.pinned}
        record.claim(turns == allowed, "a model that never gives an action is stopped after two turns a step")
        record.figures = {"metrics": metrics}


if __name__ == "__main__":
    main()
