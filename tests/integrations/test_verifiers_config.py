"""The configuration for verifiers says what its ``openenv`` taskset needs, and its prompt asks for whole actions."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from dataselect_env.core.actions import action_model
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import UnknownTask
from dataselect_env.core.tasks import SPLITS, TASKS
from dataselect_env.core.validation import parse
from dataselect_env.integrations.verifiers_config import DEFAULT_URL, PROMPT, config, main, system_prompt


@pytest.mark.parametrize("task_id", TASKS)
def test_each_reset_starts_an_episode_whose_rewards_add_up_to_the_grade(task_id: str) -> None:
    told = tomllib.loads(config(task_id, [3, 20_004]))
    env = DataSelectEnv()
    for seed, reset in zip((3, 20_004), told["env"]["taskset"]["resets"], strict=True):
        env.reset(**reset)
        assert (env.state.task_id, env.state.seed, env.state.reward_mode) == (task_id, seed, "grade")
    assert told["env"]["player"]["max_turns"] >= TASKS[task_id].max_steps  # else episodes would be cut off


@pytest.mark.parametrize("task_id", TASKS)
def test_the_answers_that_the_prompt_shows_are_whole_actions(task_id: str) -> None:
    # verifiers sends the answer to the server as it is, which does not guess what was meant.
    shown = [json.loads(line) for line in re.findall(r"^To [a-z ]+: (\{.*\})$", system_prompt(task_id), re.MULTILINE)]
    model = action_model(TASKS[task_id].extra_strategies)
    assert [parse(model, action).action_type for action in shown] == ["select_batch", "stop"]
    assert TASKS[task_id].success_criteria in system_prompt(task_id)


def test_the_command_writes_both_files(tmp_path: Path) -> None:
    folder = tmp_path / "hard"
    done = CliRunner().invoke(main, ["hard", "--episodes", "3", "--split", "validation", "--out", str(folder)])
    assert done.exit_code == 0, done.output
    taskset = tomllib.loads((folder / "eval.toml").read_text(encoding="utf-8"))["env"]["taskset"]
    assert [reset["seed"] in SPLITS["validation"] for reset in taskset["resets"]] == [True] * 3
    assert Path(taskset["system_prompt"]).read_text(encoding="utf-8") == system_prompt("hard")
    assert Path(taskset["system_prompt"]).name == PROMPT
    assert taskset["base_url"] == DEFAULT_URL


def test_what_cannot_be_configured_is_refused() -> None:
    with pytest.raises(UnknownTask):
        config("harder", [1])
    for arguments in (["harder"], ["hard", "--episodes", "0"], ["hard", "--episodes", "5000"]):
        assert CliRunner().invoke(main, arguments).exit_code == 2
