"""The command ``chats`` writes conversations that the datasets library reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dataselect_env import cli
from dataselect_env.cli import chats_command
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.integrations.chats import chat
from dataselect_env.policies import get_policy


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ("chats", "--processes", "1", *arguments))


def written(*arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in Path("chats.jsonl").read_text(encoding="utf-8").splitlines()]


def test_it_writes_the_chats_of_the_policies_in_order() -> None:
    rows = written("--policy", "probing,stop", "--tasks", "hard,easy", "--seeds", "2", "--first-seed", "5")
    expected = [
        chat(rollout(get_policy(policy), task, seed, reward_mode="grade"))
        for task in ("easy", "hard")
        for policy in ("probing", "stop")
        for seed in (5, 6)
    ]
    assert rows == expected


def test_by_default_seeds_are_those_of_the_train_split() -> None:
    result = run("--seeds", "1")
    rows = [json.loads(line) for line in Path("chats.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["task_id"], row["seed"], row["split"]) for row in rows] == [
        ("easy", 0, "train"),
        ("medium", 0, "train"),
        ("hard", 0, "train"),
    ]
    tokens = [row["tokens"] for row in rows]
    assert (
        f"Wrote 3 of 3 episodes to chats.jsonl: mean score {sum(row['score'] for row in rows) / 3:.3f}" in result.stderr
    )
    assert f"{sum(tokens):,} tokens, {max(tokens):,} in the longest." in result.stderr


def test_filters_keep_good_episodes() -> None:
    options = ("--tasks", "hard", "--seeds", "6", "--form", "json")
    scores = sorted(row["score"] for row in written(*options))
    assert sorted(row["score"] for row in written(*options, "--min-grade", f"{scores[2]}")) == scores[2:]
    assert sorted(row["score"] for row in written(*options, "--best", "2")) == scores[4:]
    refused = run(*options, "--min-grade", "1")
    assert (refused.exit_code, "none of 6 episodes has a score of 1 or more" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--policy", "nobody"), "nobody"),
        (("--policy", "oracle"), "oracle plays without actions"),
        (("--first-seed", "20000"), "train has the seeds 0 to 9999"),
        (("--out", "nowhere/chats.jsonl"), "--out: nowhere"),
        (("--tokenizer", "missing.json"), "does not exist"),
    ],
)
def test_mistakes_are_refused_with_a_reason(options: tuple[str, ...], reason: str) -> None:
    refused = run("--seeds", "1", *options)
    assert refused.exit_code == 2
    assert reason in refused.stderr


def test_tokens_are_counted_by_a_tokenizer() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"step": 0, "?": 1}, unk_token="?"))  # noqa: S106
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    words.save("words.json")
    row = written("--tasks", "hard", "--seeds", "1", "--form", "json", "--tokenizer", "words.json")[0]
    assert row["tokens"] == sum(len(message["content"].split()) for message in row["messages"])
    Path("other.json").write_text("{}", encoding="utf-8")
    refused = run("--tokenizer", "other.json")
    assert (refused.exit_code, "other.json is not a tokenizer.json" in refused.stderr) == (2, True)


@pytest.mark.parametrize("form", chats_command.FORMS)
def test_the_datasets_library_reads_them_unchanged(form: str, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = written("--policy", "probing,stop", "--tasks", "hard,open", "--seeds", "2", "--form", form)
    found = datasets.load_dataset("json", data_files="chats.jsonl", split="train", cache_dir=str(tmp_path / "cache"))
    for row, told in zip(rows, found, strict=True):
        assert told == {**row, "score": pytest.approx(row["score"], abs=1e-9)}  # it reads ten digits
    assert found.column_names == list(rows[0])
