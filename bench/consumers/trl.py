"""TRL's GRPOTrainer takes two optimiser steps with a tiny random model and the environment as its tools.

pip install torch "dataselect-env[trl]" && python -m bench.consumers.trl

A model with random weights calls no tools, so scripts replace its output. Everything else is the trainer's: parsing the
calls, running the tools, masks, rewards, advantages, log-probabilities, gradients.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from typing import Any

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from bench.consumers import tiny
from bench.consumers.record import recorded
from dataselect_env import Action, DataSelectEnv
from dataselect_env.integrations.rows import prompt_rows
from dataselect_env.integrations.trl_env import DataSelectToolEnv

Call = tuple[str, dict[str, Any]]
BUY: Call = ("select_batch", {"batch_size": 13, "diversity": 1.0})
STOP: Call = ("stop", {})
PLANS: tuple[list[Call], ...] = (
    [STOP],
    [BUY, BUY, STOP],
    [BUY, BUY],  # ends without ending its episode
    [("select_batch", {"batch_size": "many", "diversity": 1.0}), BUY, STOP, BUY],  # two calls that are refused
)
STEPS, ROWS_A_STEP = 2, 2


def writing(plan: int, turn: int) -> str:
    """Return the scripted model's answer in a turn of its plan; after the last turn it calls no tool."""
    calls = PLANS[plan]
    if turn >= len(calls):
        return f"Done.{tiny.END}"
    name, arguments = calls[turn]
    call = json.dumps({"name": name, "arguments": arguments})
    return f"Plan {plan}.\n<tool_call>\n{call}\n</tool_call>{tiny.END}"


def expected(plan: int, task_id: str, seed: int) -> float:
    """Return the reward of a plan as the package plays it: the grade at its end."""
    env, total = DataSelectEnv(), 0.0
    done = env.reset(task_id=task_id, seed=seed, reward_mode="grade").done
    for name, arguments in PLANS[plan]:
        if done or arguments.get("batch_size") == "many":
            continue
        reply = env.step(Action.stop() if name == "stop" else Action.select(13, diversity=1))
        total, done = total + (reply.reward or 0.0), reply.done
    return total


class ScriptedTrainer(GRPOTrainer):
    """GRPO with scripts in place of sampling; it records the rewards."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: list[tuple[int, str, int, float]] = []
        self.conversations: list[Any] = []

    def _generate_single_turn(self, prompt_ids: Any, *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        texts = []
        for slot, ids in enumerate(prompt_ids):
            so_far = self.processing_class.decode(ids)
            plans = re.findall(r"Plan (\d)\.", so_far)
            texts.append(writing(int(plans[0]) if plans else slot % len(PLANS), len(plans)))
        return [self.processing_class.encode(text) for text in texts], None

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, ids: Any) -> torch.Tensor:
        rewards: torch.Tensor = super()._calculate_rewards(inputs, prompts, completions, ids)
        for slot, (row, reward) in enumerate(zip(inputs, rewards[:, 0].tolist(), strict=True)):
            self.seen.append((slot % len(PLANS), row["task_id"], row["seed"], reward))
        self.conversations += completions
        return rewards


def main() -> None:
    packages = ["trl", "transformers", "torch", "datasets", "accelerate"]
    with recorded("trl", "trl", packages) as record, tempfile.TemporaryDirectory() as folder:
        torch.set_num_threads(1)
        words = tiny.tokenizer()
        model = tiny.model(words)
        before = [weight.detach().clone() for weight in model.parameters()]
        trainer = ScriptedTrainer(
            model=model,
            processing_class=words,
            train_dataset=Dataset.from_list(prompt_rows(["easy", "hard"], range(2), tools=True)),
            environment_factory=DataSelectToolEnv,
            args=GRPOConfig(
                output_dir=folder,
                max_steps=STEPS,
                num_generations=len(PLANS),
                per_device_train_batch_size=len(PLANS) * ROWS_A_STEP,
                max_completion_length=4096,
                learning_rate=1e-3,
                use_cpu=True,
                report_to=[],
                logging_steps=1,
            ),
        )
        trainer.train()
        episodes = STEPS * ROWS_A_STEP * len(PLANS)
        record.claim(trainer.state.global_step == STEPS, f"GRPO takes {STEPS} optimiser steps on CPU")
        worst = max(abs(reward - expected(plan, task, seed)) for plan, task, seed, reward in trainer.seen)
        record.claim(
            len(trainer.seen) == episodes and worst < 1e-6,
            f"the rewards of {episodes} rollouts equal the grades of the same episodes played by the package",
        )
        results = [
            message["content"] for talk in trainer.conversations for message in talk if message["role"] == "tool"
        ]
        refused = sum("'error'" in text or '"error"' in text for text in results)
        record.claim(refused == 2 * episodes // len(PLANS), "calls that cannot be played reach the model as errors")
        moved = max(
            float((new.detach() - old).abs().max()) for new, old in zip(model.parameters(), before, strict=True)
        )
        record.claim(moved > 0, "the weights have moved")
        tools = sorted(tool.__name__ for tool in trainer.tools)
        record.claim(
            tools == ["select_batch", "stop"], "the model is offered the tools select_batch and stop, no others"
        )
        logs = [entry for entry in trainer.state.log_history if "reward" in entry]
        record.figures = {
            "largest_difference": worst,
            "rewards": [entry["reward"] for entry in logs],
            "failure_frequency_of_tools": [entry["tools/failure_frequency"] for entry in logs],
            "parameters": sum(weight.numel() for weight in model.parameters()),
        }


if __name__ == "__main__":
    main()
