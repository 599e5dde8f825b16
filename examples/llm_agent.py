"""Let a language model play all tasks, through any endpoint that speaks OpenAI's chat completions.

    pip install "dataselect-env[llm]"
    dataselect-env serve &
    export OPENAI_BASE_URL=http://localhost:8000/v1 OPENAI_API_KEY=none MODEL_NAME=my-model
    python examples/llm_agent.py --url http://localhost:7860

The model gets the rules once and then one message a step, and answers with a JSON object; an answer that is none is
put back to it with the reason. Where it gives no usable answer at all, the policy ``balanced`` plays that step, and the
table says how often. Everything that was said goes to a transcript, one JSON object a line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import click
import openai

from dataselect_env.core.errors import EnvError, InvalidInput
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import SPLITS, TASKS, Task
from dataselect_env.evaluation.rollout import Rollout, rollout
from dataselect_env.integrations.remote import RemoteEnv
from dataselect_env.policies import get_policy
from dataselect_env.policies.policy import Act, Policy
from dataselect_env.rendering import prompts

if TYPE_CHECKING:
    import numpy as np
    from openai.types.chat import ChatCompletionMessageParam as Message

ATTEMPTS = 3
"""Answers that a model may give to one message before the fallback plays."""
RETRIES = 4
"""Times that openai's client sends a request again after a failure of the endpoint."""
FALLBACK = "balanced"

Ask = Callable[["list[Message]"], str]
Log = Callable[[dict[str, Any]], None]


def endpoint(model: str, *, temperature: float, max_tokens: int, timeout: float) -> Ask:
    """Return the function that sends a conversation to the endpoint of ``OPENAI_BASE_URL`` and returns its answer."""
    client = openai.OpenAI(max_retries=RETRIES, timeout=timeout)

    def ask(messages: list[Message]) -> str:
        completion = client.chat.completions.create(
            model=model, messages=messages, temperature=temperature, max_tokens=max_tokens
        )
        return (completion.choices[0].message.content or "") if completion.choices else ""

    return ask


def language_model(name: str, ask: Ask, log: Log) -> Policy:
    """Return the policy that asks a language model for each action.

    Args:
        name: What transcript and table call it.
        ask: Returns the model's answer to a conversation.
        log: Takes what is worth keeping of each answer.
    """

    def start(task: Task, rng: np.random.Generator) -> Act:
        fallback = _policy(FALLBACK).start(task, rng)
        messages: list[Message] = [{"role": "system", "content": prompts.system_prompt(task)}]
        log({"event": "start", "task_id": task.task_id, "system": prompts.system_prompt(task)})

        def act(reply: Reply) -> Action:
            text = prompts.render_reply(task, reply)
            for _ in range(ATTEMPTS):
                messages.append({"role": "user", "content": text})
                said = {"event": "answer", "task_id": task.task_id, "seed": reply.seed, "step": reply.step + 1}
                answer, action, problem = _answer(ask, messages, task)
                told = None if action is None else action.model_dump(exclude={"metadata"})
                log({**said, "message": text, "answer": answer, "action": told, "problem": problem})
                messages.append({"role": "assistant", "content": answer})
                if action is not None:
                    return action
                text = f"{problem}. Answer with one JSON object and nothing else."
            log({"event": "fallback", "task_id": task.task_id, "seed": reply.seed, "step": reply.step + 1})
            return fallback(reply)

        return act

    return Policy(name, "A language model.", start)


def _answer(ask: Ask, messages: list[Message], task: Task) -> tuple[str, Action | None, str | None]:
    """Return what the model said, the action that it means, and what was wrong where it means none.

    Raises:
        openai.APIStatusError: The endpoint refuses such requests, so that asking again is no use.
    """
    try:
        answer = ask(messages)
    except openai.APIStatusError as error:
        if error.status_code < 500 and error.status_code not in (408, 409, 429):
            raise
        return "", None, f"The endpoint failed: {error}"
    except openai.APIError as error:
        return "", None, f"The endpoint failed: {error}"
    try:
        return answer, prompts.parse_answer(answer, task), None
    except InvalidInput as error:
        return answer, None, error.message


def _policy(name: str) -> Policy:
    policy = get_policy(name)
    assert isinstance(policy, Policy)  # noqa: S101  (no oracle)
    return policy


def table(played: list[Rollout], fallbacks: int) -> str:
    """Return the grades as a table, one line for each task."""
    lines = [f"{'task':<8} episodes  score  passed   return  bought"]
    for task_id in dict.fromkeys(one.task_id for one in played):
        rows = [one for one in played if one.task_id == task_id]
        lines.append(
            f"{task_id:<8} {len(rows):>8}  {fmean(one.grade.score for one in rows):.3f}"
            f"  {fmean(one.grade.passed for one in rows):>6.0%}  {fmean(one.episode_return for one in rows):>+7.2f}"
            f"  {fmean(one.grade.breakdown.budget_used for one in rows):>6.1f}"
        )
    return "\n".join([*lines, f"Steps that {FALLBACK} played because the model gave no usable answer: {fallbacks}"])


@click.command()
@click.option("--url", default="http://127.0.0.1:7860", show_default=True, help="Address of the environment's server.")
@click.option("--model", default=lambda: os.environ.get("MODEL_NAME"), required=True, help="Default: MODEL_NAME.")
@click.option("--tasks", default=",".join(TASKS), show_default=True, help="Tasks, divided by commas.")
@click.option("--seeds", type=click.IntRange(1, 1_000), default=3, show_default=True, help="Test seeds a task.")
@click.option("--transcript", type=click.Path(dir_okay=False, path_type=Path), default="llm_agent.jsonl")
@click.option("--temperature", type=float, default=0.0, show_default=True)
@click.option("--max-tokens", type=int, default=1_024, show_default=True, help="Of one answer.")
@click.option("--timeout", type=float, default=120.0, show_default=True, help="Seconds to wait for one answer.")
def main(
    *,
    url: str,
    model: str,
    tasks: str,
    seeds: int,
    transcript: Path,
    temperature: float,
    max_tokens: int,
    timeout: float,
) -> None:
    """Play, write the transcript and print the grades."""
    fallbacks, played = 0, []
    with transcript.open("w", encoding="utf-8") as file:

        def log(event: dict[str, Any]) -> None:
            nonlocal fallbacks
            fallbacks += event["event"] == "fallback"
            file.write(json.dumps(event) + "\n")
            file.flush()

        env = RemoteEnv(url)
        try:
            ask = endpoint(model, temperature=temperature, max_tokens=max_tokens, timeout=timeout)
            policy = language_model(model, ask, log)
            for task_id in tasks.split(","):
                for seed in range(SPLITS["test"].first_seed, SPLITS["test"].first_seed + seeds):
                    one = rollout(policy, task_id, seed, env=env)
                    log(_summary(one))
                    click.echo(f"{task_id} {seed}: score {one.grade.score:.3f}", err=True)
                    played.append(one)
        except (EnvError, openai.OpenAIError) as error:
            raise click.ClickException(str(error)) from error
        finally:
            env.close()
    click.echo(table(played, fallbacks))


def _summary(one: Rollout) -> dict[str, Any]:
    grade = one.grade.model_dump(mode="json")
    return {
        "event": "grade",
        "task_id": one.task_id,
        "seed": one.seed,
        "episode_id": one.replies[0].episode_id,
        "return": one.episode_return,
        **grade,
    }


if __name__ == "__main__":
    main()
