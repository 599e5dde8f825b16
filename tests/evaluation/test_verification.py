"""Verification finds what is false in a record, and says what cannot be verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataselect_env.core.results import TOLERANCE
from dataselect_env.core.tasks import DYNAMICS_VERSION
from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.evaluation.record_file import RecordFile
from dataselect_env.evaluation.records import EpisodeRecord, Header, RecordedAction
from dataselect_env.evaluation.verification import Finding, Replay, check_episode, survey
from tests.helpers.recording import KEY_ID, played, public_key, receipt_for, served, write

KEYS = {KEY_ID: [public_key()]}


@pytest.fixture(scope="module")
def open_run() -> tuple[Header, list[EpisodeRecord]]:
    return played("probing", "stop")


@pytest.fixture(scope="module")
def sealed_run() -> tuple[Header, list[EpisodeRecord]]:
    return served("probing")


def check(header: Header, one: EpisodeRecord, keys: dict[str, list[str]] | None = None) -> Finding:
    return check_episode(header, keys or {}, 7, one)


def altered(one: EpisodeRecord, **changes: Any) -> EpisodeRecord:
    return one.model_copy(update=changes)


# --- replays --------------------------------------------------------------------------------------------------------


def test_what_was_played_is_verified(open_run: tuple[Header, list[EpisodeRecord]]) -> None:
    header, records = open_run
    assert [check(header, one) for one in records] == [Finding(7, replay=Replay.EXACT)] * 6


@pytest.mark.parametrize("task", ["easy", "medium", "open"])
@pytest.mark.parametrize("mode", ["shaped", "grade"])
def test_every_task_and_reward_mode_is_replayed(task: str, mode: Any) -> None:
    plan = Plan(policies=("random-agent",), tasks=(task,), seeds=(5,), reward_mode=mode)
    assert check(plan.header, evaluate(plan)[0]).replay is Replay.EXACT


def test_last_digits_may_differ(open_run: tuple[Header, list[EpisodeRecord]]) -> None:
    header, records = open_run
    one = records[0]
    assert check(header, altered(one, score=one.score - TOLERANCE / 2)).replay is Replay.CLOSE
    claimed = one.score - TOLERANCE * 2
    found = check(header, altered(one, score=claimed))
    assert found.false[0] == f"Line 7: score is {claimed:.12g} in the record and {one.score:.12g} in the replay."


def changes_of(one: EpisodeRecord) -> dict[str, tuple[dict[str, Any], str]]:
    """Return altered fields, each with the sentence that should answer it."""
    actions, rewards, curve = list(one.actions or ()), list(one.rewards), list(one.curve)
    larger = RecordedAction(action_type="select_batch", batch_size=6, strategy_weights={"uncertainty": 1.0})
    unknown = RecordedAction(action_type="select_batch", batch_size=5, strategy_weights={"margin": 1.0})
    less = {"rewards": tuple(rewards[:-1]), "curve": tuple(curve[:-1]), "actions": tuple(actions[:-1])}
    return {
        "score": ({"score": 0.9}, "Line 7: score is 0.9 in the record"),
        "passed": ({"passed": not one.passed}, f"Line 7: passed is {not one.passed} in the record and {one.passed} in"),
        "noise": ({"noise_ratio": 0.01}, "Line 7: noise ratio is 0.01 in the record"),
        "no noise": ({"noise_ratio": None}, "Line 7: noise ratio is none in the record"),
        "seed": ({"seed": 20_001}, "Line 7, step 0: performance is "),
        "split": ({"split": "train"}, "Line 7: split is train in the record, but that of seed 20000 is test."),
        "reward": ({"rewards": (rewards[0], 2.0, *rewards[2:])}, "Line 7, step 2: reward is 2 in the record"),
        "action": ({"actions": (larger, *actions[1:])}, "Line 7, step 1: reward is "),
        "unknown": ({"actions": (actions[0], unknown, *actions[2:])}, "Line 7, step 2: the environment refuses the"),
        "bought": (
            {"curve": (curve[0], (6, curve[1][1]), *curve[2:])},
            "Line 7, step 1: samples bought is 6 in",
        ),
        "performance": (
            {"curve": (curve[0], (5, 0.5), *curve[2:])},
            "Line 7, step 1: performance is 0.5 in",
        ),
        "less": (less, f"Line 7, step {len(rewards) - 1}: the record ends here, but the episode is not over."),
        "more": (
            {"rewards": (*rewards, 0.0), "curve": (*curve, curve[-1]), "actions": (*actions, larger)},
            f"Line 7, step {len(rewards) + 1}: the environment refuses the action: The episode is over",
        ),
    }


@pytest.mark.parametrize("name", changes_of(played("probing", seeds=(20_000,))[1][0]))
def test_what_was_not_played_is_false(open_run: tuple[Header, list[EpisodeRecord]], name: str) -> None:
    header, records = open_run
    changes, sentence = changes_of(records[0])[name]
    found = check(header, altered(records[0], **changes))
    assert len(found.false) == 1
    assert found.false[0].startswith(sentence)
    assert (found.receipt, found.replay, found.reason) == (False, None, "")


def test_another_reward_mode_is_false(open_run: tuple[Header, list[EpisodeRecord]]) -> None:
    header, records = open_run
    found = check(header.model_copy(update={"reward_mode": "grade"}), records[0])
    assert found.false[0].startswith("Line 7, step 1: reward is ")


# --- what cannot be verified ----------------------------------------------------------------------------------------


def test_other_dynamics_unknown_and_changed_tasks_and_oracles(open_run: tuple[Header, list[EpisodeRecord]]) -> None:
    header, records = open_run
    older = header.model_copy(update={"versions": header.versions.model_copy(update={"dynamics": 1})})
    changed = header.model_copy(update={"own_tasks": {"hard": "0" * 64}})
    oracle = played("oracle", seeds=(3,))[1][0]
    for lines, one, reason in (
        (older, records[0], f"version 1 of the dynamics was played, and here it is version {DYNAMICS_VERSION}"),
        (header, altered(records[0], task_id="mine\n"), "task mine? is unknown here; name its file with --task-file"),
        (changed, records[0], "task hard has another definition or other data here"),
        (header, oracle, "oracles play without actions"),
    ):
        assert check(lines, one) == Finding(7, reason=reason)


def test_the_sealed_split_needs_receipt_and_key(sealed_run: tuple[Header, list[EpisodeRecord]]) -> None:
    header, records = sealed_run
    for one, keys, reason in (
        (altered(records[0], receipt=None), KEYS, "the seed is secret, and there is no receipt"),
        (records[0], {}, "there is a receipt, but no key was given to check it"),
        (records[0], {"other": KEYS[KEY_ID]}, "the receipt is signed with key first, which was not given"),
    ):
        assert check(header, one, keys) == Finding(7, reason=reason)


# --- receipts -------------------------------------------------------------------------------------------------------


def test_receipts_verify_sealed_episodes(sealed_run: tuple[Header, list[EpisodeRecord]]) -> None:
    header, records = sealed_run
    assert [check(header, one, KEYS) for one in records] == [Finding(7, receipt=True)] * 3


def test_open_episodes_are_verified_in_both_ways() -> None:
    header, records = served("probing", sealed=False)
    assert check(header, records[0], KEYS) == Finding(7, receipt=True, replay=Replay.EXACT)
    assert check(header, records[0]) == Finding(7, replay=Replay.EXACT)


def test_one_of_several_keys_of_an_id_is_enough(sealed_run: tuple[Header, list[EpisodeRecord]]) -> None:
    header, records = sealed_run
    other = public_key(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    assert check(header, records[0], {KEY_ID: [other, public_key()]}).receipt
    (sentence,) = check(header, records[0], {KEY_ID: [other]}).false
    assert sentence == "Line 7: the signature of the receipt is wrong: it is not that of key first over this receipt."


@pytest.mark.parametrize(
    "changes",
    [
        {"score": 0.99},
        {"passed": False},
        {"index": 1},
        {"task_id": "medium"},
        {"agent": "you"},
        {"episode_id": "another"},
        {"actions": []},
        {"signature": "AAAA"},
        {"signature": "no base64"},
        {"signature": "\u00e4"},
        {"actions": [{"batch_size": float("nan")}]},
        {"started_at": "2025-01-01T00:00:00Z"},
    ],
    ids=str,
)
def test_an_altered_receipt_is_false(sealed_run: tuple[Header, list[EpisodeRecord]], changes: dict[str, Any]) -> None:
    header, records = sealed_run
    receipt = records[0].receipt
    assert receipt is not None
    found = check(header, altered(records[0], receipt=receipt.model_copy(update=changes)), KEYS)
    assert any("the signature of the receipt is wrong" in sentence for sentence in found.false)
    assert not found.receipt


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"score": 0.01}, "score is 0.01 in the record and "),
        ({"passed": False}, "passed is False in the record and True in the receipt."),
        ({"index": 5}, "index is 5 in the record and 0 in the receipt."),
        ({"episode_id": "another"}, "episode id is another in the record and episode-0 in the receipt."),
        ({"task_id": "easy"}, "task is easy in the record and hard in the receipt."),
        ({"split": "test"}, "split is test in the record and sealed in the receipt."),
    ],
    ids=str,
)
@pytest.mark.parametrize("keys", [KEYS, {}], ids=["keys", "no keys"])
def test_a_record_that_differs_from_its_receipt_is_false(
    sealed_run: tuple[Header, list[EpisodeRecord]], changes: dict[str, Any], sentence: str, keys: dict[str, list[str]]
) -> None:
    header, records = sealed_run
    found = check(header, altered(records[0], **changes), keys)
    assert len(found.false) == 1
    assert found.false[0].startswith(f"Line 7: {sentence}")


def test_actions_that_differ_are_shown_with_their_step(sealed_run: tuple[Header, list[EpisodeRecord]]) -> None:
    header, records = sealed_run
    actions = list(records[0].actions or ())
    actions[1] = RecordedAction(action_type="select_batch", batch_size=9, strategy_weights={"random": 1.0})
    (sentence,) = check(header, altered(records[0], actions=tuple(actions)), KEYS).false
    assert sentence.startswith("Line 7, step 2: the action is {'action_type': 'select_batch', 'batch_size': 9")
    assert "in the receipt" in sentence


def test_agent_and_reward_mode_are_those_of_the_header(sealed_run: tuple[Header, list[EpisodeRecord]]) -> None:
    header, records = sealed_run
    assert header.host is not None
    others = {"host": header.host.model_copy(update={"agent": "you"}), "reward_mode": "grade"}
    assert check(header.model_copy(update=others), records[0], KEYS).false == (
        "Line 7: agent is you in the record and me in the receipt.",
        "Line 7: reward mode is grade in the record and shaped in the receipt.",
    )


def test_a_receipt_about_another_definition_of_a_task_is_no_replay() -> None:
    header, records = served("probing", sealed=False)
    one = altered(records[0], receipt=receipt_for(header, records[0], task_digest="0" * 64))
    assert check(header, one, KEYS) == Finding(7, receipt=True)


# --- a whole file ---------------------------------------------------------------------------------------------------


def test_a_survey_says_what_is_claimed(tmp_path: Path) -> None:
    header, records = played("stop", "random")
    found = survey(RecordFile(write(tmp_path, header, records)))
    assert (list(found.claims), found.episodes, found.receipts, found.false) == (
        [("stop", "hard"), ("random", "hard")],
        6,
        0,
        [],
    )
    assert found.claims["random", "hard"].scores == [one.score for one in records[3:]]


def test_an_episode_counts_once(tmp_path: Path) -> None:
    header, records = served("probing")
    again = altered(records[0], policy="another", index=9)  # under another name, with the receipt of the first
    found = survey(RecordFile(write(tmp_path, header, [*records, records[1], again])))
    assert found.false == [f"Line {line}: the episode is that of line {8 - line} again." for line in (5, 6)]
    assert found.receipts == 5
