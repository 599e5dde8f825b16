"""Verification of recorded episodes: their receipts against public keys, and their actions by a replay.

A record is false where it differs from its receipt or from the replay. What can be checked in neither way is not
verified; the finding says why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import EnvError
from dataselect_env.core.results import TOLERANCE
from dataselect_env.core.tasks import DYNAMICS_VERSION, TASKS, get_task, split_of
from dataselect_env.evaluation.record_file import RecordFile, printable
from dataselect_env.evaluation.records import EpisodeRecord, Header

DIGITS = 12
"""Significant digits of the numbers in sentences; two numbers that differ by more than the tolerance look different."""
Keys = Mapping[str, Sequence[str]]
"""Trusted public keys, raw and in base64, by key id."""


class Replay(Enum):
    """How a replay agrees with the record."""

    EXACT = "exactly"
    CLOSE = f"within {TOLERANCE:g}"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one episode.

    Attributes:
        line: Number of its line.
        false: Sentences about what is false; each begins with the line and, where there is one, the step.
        receipt: Whether the signature of its receipt is that of a trusted key.
        replay: How the replay agrees; None if there was none, or it does not agree.
        reason: Why it is not verified; empty if it is verified or false.
    """

    line: int
    false: tuple[str, ...] = ()
    receipt: bool = False
    replay: Replay | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """Episodes to check, by the numbers of their lines; a job of workers."""

    header: Header
    keys: Keys
    episodes: Sequence[tuple[int, EpisodeRecord]]

    def __str__(self) -> str:
        return f"the check of line {self.episodes[0][0]}"


def check(job: Check) -> list[Finding]:
    """Return a finding for each episode of a job."""
    return [check_episode(job.header, job.keys, line, one) for line, one in job.episodes]


def check_episode(header: Header, keys: Keys, line: int, record: EpisodeRecord) -> Finding:
    """Check the receipt of an episode, if it has one, and replay it, if its seed is known.

    Raises:
        ImportError: The library ``cryptography`` is missing, and there are keys and a receipt.
    """
    false = [f"Line {line}{problem}" for problem in _contradictions(header, record)]
    signed, unsigned = _check_signature(keys, record)
    if signed is False:
        false.append(f"Line {line}: the signature of the receipt is wrong: {unsigned}.")
    obstacle = _obstacle(header, record)
    replay = None
    if not obstacle:
        found = _replayed(header, record)
        if isinstance(found, str):
            false.append(f"Line {line}{found}")
        else:
            replay = found
    if false:
        return Finding(line, tuple(false))
    verified = signed or replay is not None
    reason = "" if verified else unsigned if record.seed is None or record.receipt is not None else obstacle
    return Finding(line, receipt=signed is True, replay=replay, reason=reason)


# --- receipts -------------------------------------------------------------------------------------------------------


def _check_signature(keys: Keys, record: EpisodeRecord) -> tuple[bool | None, str]:
    """Return whether the signature is that of a trusted key, None if that cannot be told, and why it is not."""
    receipt = record.receipt
    if receipt is None:
        return None, "the seed is secret, and there is no receipt"
    if not keys:
        return None, "there is a receipt, but no key was given to check it"
    name = printable(receipt.key_id)
    trusted = keys.get(receipt.key_id, ())
    if not trusted:
        return None, f"the receipt is signed with key {name}, which was not given"
    if any(receipt.is_signed_by(key) for key in trusted):
        return True, ""
    return False, f"it is not that of key {name} over this receipt"


def _contradictions(header: Header, record: EpisodeRecord) -> Iterator[str]:
    """Yield where record and receipt differ."""
    receipt = record.receipt
    if receipt is None:
        return
    host = header.host
    pairs: dict[str, tuple[object, object]] = {
        "task": (record.task_id, receipt.task_id),
        "split": (record.split, receipt.split),
        "seed": (record.seed, receipt.seed),
        "index": (record.index, receipt.index),
        "episode id": (record.episode_id, receipt.episode_id),
        "agent": (None if host is None else host.agent, receipt.agent),
        "reward mode": (header.reward_mode, receipt.reward_mode),
        "dynamics version": (header.versions.dynamics, receipt.dynamics_version),
        "score": (record.score, receipt.score),
        "passed": (record.passed, receipt.passed),
        "number of steps": (len(record.rewards), len(receipt.actions)),
    }
    for name, (ours, theirs) in pairs.items():
        if ours != theirs:
            yield f": {name} is {_shown(ours)} in the record and {_shown(theirs)} in the receipt."
    for step, (action, signed) in enumerate(zip(record.actions or (), receipt.actions, strict=False), 1):
        ours, theirs = _plain(action.model_dump()), _plain(signed)
        if ours != theirs:
            yield f", step {step}: the action is {_shown(ours)} in the record and {_shown(theirs)} in the receipt."
            return


def _plain(action: Mapping[str, Any]) -> dict[str, Any]:
    """Return what counts in an action: no weights of 0, nothing beside ``stop``."""
    if action.get("action_type") == "stop":
        return {"action_type": "stop"}
    weights = action.get("strategy_weights")
    kept = {name: value for name, value in weights.items() if value} if isinstance(weights, dict) else weights
    return {**{name: value for name, value in action.items() if name != "metadata"}, "strategy_weights": kept}


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    return "none" if value is None else printable(str(value))


# --- replay ---------------------------------------------------------------------------------------------------------


def _obstacle(header: Header, record: EpisodeRecord) -> str:
    """Return why an episode cannot be replayed; empty if it can."""
    if record.seed is None:
        return "the seed is secret"
    if record.actions is None:
        return "oracles play without actions"
    version = header.versions.dynamics
    if version != DYNAMICS_VERSION:
        return f"version {version} of the dynamics was played, and here it is version {DYNAMICS_VERSION}"
    name = printable(record.task_id)
    task = TASKS.get(record.task_id)
    if task is None:
        return f"task {name} is unknown here; name its file with --task-file"
    digest = header.own_tasks.get(record.task_id) if record.receipt is None else record.receipt.task_digest
    if task.digest != digest:
        return f"task {name} has another definition or other data here"
    return ""


def _replayed(header: Header, record: EpisodeRecord) -> Replay | str:
    """Replay an episode; return how it agrees, or where it parts."""
    assert record.seed is not None  # noqa: S101  (checked by _obstacle)
    episode = Episode(get_task(record.task_id), record.seed, header.reward_mode)
    if record.split != split_of(record.seed):
        split = _shown(split_of(record.seed))
        return f": split is {_shown(record.split)} in the record, but that of seed {record.seed} is {split}."
    budget, exact = episode.remaining_budget, True
    for step, (bought, performance) in enumerate(record.curve):
        here: dict[str, tuple[float, float]] = {}
        if step:
            try:
                result = episode.step((record.actions or ())[step - 1].as_action())
            except EnvError as error:
                return f", step {step}: the environment refuses the action: {printable(error.message)}"
            here["reward"] = record.rewards[step - 1], result.reward
        here["samples bought"] = bought, budget - episode.observation.remaining_budget
        here["performance"] = performance, episode.observation.current_performance
        for name, (claimed, found) in here.items():
            if abs(claimed - found) > TOLERANCE:
                return f", step {step}: {name} is {_shown(claimed)} in the record and {_shown(found)} in the replay."
            exact = exact and claimed == found
    if episode.end_reason is None:
        return f", step {len(record.rewards)}: the record ends here, but the episode is not over."
    return _graded(episode, record, exact=exact)


def _graded(episode: Episode, record: EpisodeRecord, *, exact: bool) -> Replay | str:
    """Compare the grade."""
    grade = episode.grade()
    if record.passed != grade.passed:
        return f": passed is {record.passed} in the record and {grade.passed} in the replay."
    noise = grade.breakdown.avg_noise_ratio
    for name, claimed, found in (("score", record.score, grade.score), ("noise ratio", record.noise_ratio, noise)):
        if (claimed is None) != (found is None) or abs((claimed or 0.0) - (found or 0.0)) > TOLERANCE:
            return f": {name} is {_shown(claimed)} in the record and {_shown(found)} in the replay."
        exact = exact and claimed == found
    return Replay.EXACT if exact else Replay.CLOSE


# --- a whole file ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Claim:
    """What the episodes of a policy on a task claim."""

    splits: set[str | None] = field(default_factory=set)
    numbers: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Overview:
    """What a file claims, and what is false about the file as a whole.

    Attributes:
        claims: By policy and task.
        receipts: Number of episodes with a receipt.
        false: Sentences about episodes that are in the file twice, and about a file that was changed.
    """

    claims: dict[tuple[str, str], Claim] = field(default_factory=lambda: defaultdict(Claim))
    receipts: int = 0
    false: list[str] = field(default_factory=list)

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return sum(len(claim.scores) for claim in self.claims.values())


def survey(file: RecordFile) -> Overview:
    """Read a whole file.

    Raises:
        RecordError: It is not a record, or cut off.
    """
    found, seen = Overview(), dict[object, int]()
    for line, one in file.episodes():
        found.receipts += one.receipt is not None
        for mark in (one.key, one.episode_id):
            first = seen.setdefault(mark, line) if mark is not None else line
            if first != line:
                found.false.append(f"Line {line}: the episode is that of line {first} again.")
                break
        claim = found.claims[one.policy, one.task_id]
        claim.splits.add(one.split)
        claim.numbers.append(one.number)
        claim.scores.append(one.score)
    if file.changed:
        found.false.append(file.changed)
    return found
