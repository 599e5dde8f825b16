"""GRPO with TRL: a language model learns to buy training data by calling tools. The reward of a rollout is the grade.

    pip install "dataselect-env[trl]"
    python examples/trl_grpo.py Qwen/Qwen3-0.6B

The episodes run in the trainer's process and need no server.
"""

from __future__ import annotations

import sys

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from dataselect_env.integrations.rows import prompt_rows
from dataselect_env.integrations.trl_env import DataSelectToolEnv

trainer = GRPOTrainer(
    model=sys.argv[1],
    # Each row names a task and a seed: all rollouts of a group play the same episode.
    train_dataset=Dataset.from_list(prompt_rows(["easy", "medium", "hard"], tools=True)),
    environment_factory=DataSelectToolEnv,
    args=GRPOConfig(
        output_dir="dataselect-grpo",
        num_generations=8,
        max_completion_length=4096,  # for the whole conversation: a step takes about 200 tokens
        max_tool_calling_iterations=20,  # the longest task has 15 steps
    ),
)
trainer.train()
