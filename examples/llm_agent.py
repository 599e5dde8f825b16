"""Let a language model play all tasks, through any endpoint that speaks OpenAI's chat completions.

    pip install "dataselect-env[llm]"
    dataselect-env serve &
    export OPENAI_BASE_URL=http://localhost:8000/v1 OPENAI_API_KEY=none MODEL_NAME=my-model
    python examples/llm_agent.py --url http://localhost:7860

The model gets the rules once and then one message per step, and answers with a JSON object. An answer without a valid
action goes back to it with the reason. After ``ATTEMPTS`` such answers the policy ``balanced`` plays the step; every
line of the output counts these steps. When the endpoint cannot be reached, the run ends. The whole conversation goes to
a transcript, one JSON object per line.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from statistics import fmean
from typing import TYPE_CHECKING, Any, TextIO

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
"""Answers of the model to one message before the fallback plays the step."""
RETRIES = 4
"""Times that openai's client repeats a request after a status that may pass, such as 429 or 500."""
FALLBACK = "balanced"

Ask = Callable[["list[Message]"], str]
Log = Callable[[dict[str, Any]], None]


def endpoint(model: str, *, timeout: float, **sampling: float | None) -> Ask:
    """Return the function that sends a conversation to the endpoint of ``OPENAI_BASE_URL`` and returns its answer.

    Args:
        model: Name of the model.
        timeout: Seconds to wait for an answer.
        sampling: Parameters of the request, such as ``temperature``; None leaves one out.

    Raises:
        openai.APIConnectionError: Nothing answers at that address.
    """
    client = openai.OpenAI(max_retries=RETRIES, timeout=timeout)
    given: dict[str, Any] = {name: value for name, value in sampling.items() if value is not None}
    with suppress(openai.APIStatusError):  # any status will do: the endpoint is there
        client.with_options(max_retries=0).models.list()

    def ask(messages: list[Message]) -> str:
        completion = client.chat.completions.create(model=model, messages=messages, **given)
        return (completion.choices[0].message.content or "") if completion.choices else ""

    return ask


def language_model(name: str, ask: Ask, log: Log) -> Policy:
    """Return the policy that asks a language model for each action.

    Args:
        name: Name of the policy.
        ask: Returns the model's answer to a conversation.
        log: Called with one event per answer and per fallback.
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
                parsed = None if action is None else action.model_dump(exclude={"metadata"})
                log({**said, "message": text, "answer": answer, "action": parsed, "problem": problem})
                messages.append({"role": "assistant", "content": answer})
                if action is not None:
                    return action
                text = f"{problem}. Answer with one JSON object and nothing else."
            log({"event": "fallback", "task_id": task.task_id, "seed": reply.seed, "step": reply.step + 1})
            return fallback(reply)

        return act

    return Policy(name, "A language model.", start)


def _answer(ask: Ask, messages: list[Message], task: Task) -> tuple[str, Action | None, str | None]:
    """Return the model's answer, the action in it, and the problem if there is none.

    Raises:
        openai.APIConnectionError: The endpoint cannot be reached, or does not answer in time.
        openai.APIStatusError: The endpoint refuses such requests, so that repeating them is no use.
    """
    try:
        answer = ask(messages)
    except openai.APIConnectionError:
        raise
    except openai.APIError as error:
        status = getattr(error, "status_code", 500)
        if status < 500 and status not in (408, 409, 429):
            raise
        return "", None, f"The endpoint failed: {error}"
    try:
        return answer, prompts.parse_answer(answer, task), None
    except InvalidInput as error:
        return answer, None, error.message


def _policy(name: str) -> Policy:
    policy = get_policy(name)
    assert isinstance(policy, Policy)  # noqa: S101  (no oracle)
    return policy


def table(played: list[Rollout], fallbacks: Counter[str]) -> str:
    """Return the grades as a table, one line per task, with the steps that the fallback played."""
    lines = [f"{'task':<8} episodes  score  passed   return  bought  by {FALLBACK}"]
    for task_id in dict.fromkeys(one.task_id for one in played):
        rows = [one for one in played if one.task_id == task_id]
        lines.append(
            f"{task_id:<8} {len(rows):>8}  {fmean(one.grade.score for one in rows):.3f}"
            f"  {fmean(one.grade.passed for one in rows):>6.0%}  {fmean(one.episode_return for one in rows):>+7.2f}"
            f"  {fmean(one.grade.breakdown.budget_used for one in rows):>6.1f}"
            f"  {fallbacks[task_id]} of {sum(map(_steps, rows))} steps"
        )
    return "\n".join(lines)


def _steps(one: Rollout) -> int:
    return len(one.replies) - 1


@click.command()
@click.option("--url", default="http://127.0.0.1:7860", show_default=True, help="Address of the environment's server.")
@click.option("--model", default=lambda: os.environ.get("MODEL_NAME"), required=True, help="Default: MODEL_NAME.")
@click.option("--tasks", default=",".join(TASKS), show_default=True, help="Tasks, separated by commas.")
@click.option("--seeds", type=click.IntRange(1, 1_000), default=3, show_default=True, help="Test seeds per task.")
@click.option("--transcript", type=click.File("w", encoding="utf-8", lazy=False), default="llm_agent.jsonl")
@click.option("--temperature", type=float, help="Default: not sent, since reasoning models refuse it.")
@click.option("--max-tokens", type=int, help="Limit for one answer. Default: not sent, as with --temperature.")
@click.option("--timeout", type=float, default=120.0, show_default=True, help="Seconds to wait for one answer.")
def main(
    *,
    url: str,
    model: str,
    tasks: str,
    seeds: int,
    transcript: TextIO,
    temperature: float | None,
    max_tokens: int | None,
    timeout: float,
) -> None:
    """Play, write the transcript and print the grades."""
    fallbacks: Counter[str] = Counter()
    played: list[Rollout] = []

    def log(event: dict[str, Any]) -> None:
        fallbacks[event["task_id"]] += event["event"] == "fallback"
        transcript.write(json.dumps(event) + "\n")
        transcript.flush()

    env = RemoteEnv(url)
    try:
        ask = endpoint(model, timeout=timeout, temperature=temperature, max_tokens=max_tokens)
        policy = language_model(model, ask, log)
        for task_id in tasks.split(","):
            for seed in range(SPLITS["test"].first_seed, SPLITS["test"].first_seed + seeds):
                before = fallbacks[task_id]
                one = rollout(policy, task_id, seed, env=env)
                log(_summary(one))
                by_fallback = f"{fallbacks[task_id] - before} of {_steps(one)} steps by {FALLBACK}"
                click.echo(f"{task_id} {seed}: score {one.grade.score:.3f}, {by_fallback}", err=True)
                played.append(one)
    except openai.APIConnectionError as error:
        address = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
        raise click.ClickException(f"The endpoint at {address} cannot be reached: {error}") from error
    except (EnvError, openai.OpenAIError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        env.close()
        if played:
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
