"""SkyRL: write the data set, and register the environment where SkyRL's trainer starts.

    pip install "dataselect-env[skyrl]" pyarrow
    python examples/skyrl_dataset.py dataselect.parquet

Then call ``register`` in the function that SkyRL runs on Ray, before it makes the trainer, and set

    data.train_data="['dataselect.parquet']" environment.env_class=dataselect generator.max_turns=30
    generator.use_conversation_multi_turn=true generator.batched=false trainer.max_prompt_length=2048

The default prompt length of 512 tokens would drop every row.
"""

from __future__ import annotations

import sys

import pandas

from dataselect_env.integrations.rows import prompt_rows
from dataselect_env.integrations.skyrl_env import ENV_CLASS, register

register()  # skyrl_gym.make("dataselect", extras=row) works from here on

rows = [{**row, "env_class": ENV_CLASS} for row in prompt_rows(["easy", "medium", "hard"])]
pandas.DataFrame(rows).to_parquet(sys.argv[1])
