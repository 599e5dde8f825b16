"""The command ``verify``: check the episodes of a record."""
# ruff: noqa: PLC0415  (modules are imported on use, so that --help answers at once)

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import click

from dataselect_env.cli.console import Command, Interrupted, progress, say
from dataselect_env.cli.task_options import data_options, task_file_option, task_from_options
from dataselect_env.cli.worker_options import worker_options, workers

if TYPE_CHECKING:
    from dataselect_env.evaluation.cluster import Cluster
    from dataselect_env.evaluation.record_file import RecordFile
    from dataselect_env.evaluation.records import Versions
    from dataselect_env.evaluation.verification import Check, Claim, Finding, Keys

FALSE, NOT_VERIFIED = 1, 3
"""Exit codes: an episode is false; none is false, but some are not verified. Wrong usage and files have 2."""
BLOCK = 4_096
"""Episodes in memory at a time."""
PART = 8
"""Episodes that a worker checks at a time."""


@click.command(cls=Command)
@task_file_option
@data_options
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--keys",
    "sources",
    multiple=True,
    metavar="FILE_OR_URL",
    help="Public keys that you trust: address of a server, or file with its answer to GET /keys. May be repeated.",
)
@worker_options
def verify(*, file: Path, sources: tuple[str, ...], processes: int | None, ray: str | None, **data: Any) -> None:
    """Check a record that evaluate --record wrote.

    Replays the episodes of open splits, and checks the receipts of episodes that were played on a server. Prints every
    episode whose record differs, with the line and the step.

    Exit codes: 0 if all episodes are verified, 1 if something is false, 2 for a file that cannot be read, 3 if nothing
    is false and some episodes cannot be verified.
    """
    from dataselect_env.cli.public_keys import read_keys
    from dataselect_env.evaluation.record_file import RecordFile
    from dataselect_env.evaluation.verification import survey

    task_from_options(data)
    keys = read_keys(sources)
    record = RecordFile(file)
    try:
        overview = survey(record)
        say("\n".join(_claims(overview.claims)))
        if overview.receipts and not keys:
            say("No --keys were given: the signatures of receipts are not checked against a trusted key.")
        for sentence in overview.false:
            say(sentence)
        with workers(processes, ray) as chosen:
            findings = check_all(record, keys, chosen, overview.episodes)
    except KeyboardInterrupt as error:
        raise Interrupted("Interrupted.") from error
    code = conclude(findings, record.header.versions, false=len(overview.false))
    if code:
        raise click.exceptions.Exit(code)


def check_all(record: RecordFile, keys: Keys, processes: int | Cluster, episodes: int) -> list[Finding]:
    """Check all episodes with a progress bar; return a finding for each, in the order of lines."""
    from dataselect_env.evaluation.verification import check
    from dataselect_env.evaluation.workers import run

    findings: list[Finding] = []
    with progress(episodes, "Checking episodes") as advance:
        for jobs in _blocks(record, keys):
            most = min(processes, len(jobs)) if isinstance(processes, int) else processes
            tasks = {one.task_id for job in jobs for _, one in job.episodes}
            block: list[Finding] = []
            with closing(run(jobs, check, processes=most, tasks=tasks)) as results:
                for result in results:
                    block += result
                    if advance is not None:
                        advance(len(result))
            findings += sorted(block, key=lambda one: one.line)
    return findings


def _blocks(record: RecordFile, keys: Keys) -> Iterator[list[Check]]:
    from dataselect_env.evaluation.verification import Check

    episodes = record.episodes()
    while block := list(islice(episodes, BLOCK)):
        yield [Check(record.header, keys, block[first : first + PART]) for first in range(0, len(block), PART)]


def _claims(claims: dict[tuple[str, str], Claim]) -> Iterable[str]:
    """Yield a line for each policy and task."""
    from dataselect_env.evaluation.record_file import printable

    if not claims:
        yield "The record has no episodes."
    for (policy, task), claim in claims.items():
        split = claim.splits.pop() if len(claim.splits) == 1 else None
        kind = "indices" if split == "sealed" else "seeds"
        numbers = f"{kind} {min(claim.numbers)} to {max(claim.numbers)}"
        missing = max(claim.numbers) - min(claim.numbers) + 1 - len(set(claim.numbers))
        gaps = f", {missing} of them missing" if missing else ""
        place = f", {printable(split)} split" if split else ""
        episodes = f"{_count(len(claim.scores), 'episode')} ({numbers}{gaps}{place})"
        yield f"{printable(policy)} on {printable(task)}: {episodes}, mean score {fmean(claim.scores):.3f}"


def conclude(findings: Sequence[Finding], versions: Versions, *, false: int) -> int:
    """Print what is false and how many episodes are verified; return the exit code.

    Args:
        findings: All findings.
        versions: Versions that the episodes were played with.
        false: Number of other false things.
    """
    from dataselect_env.core.results import TOLERANCE
    from dataselect_env.evaluation.verification import Replay

    for sentence in (sentence for one in findings for sentence in one.false):
        say(sentence)
    wrong = sum(bool(one.false) for one in findings)
    verified = [one for one in findings if one.receipt or one.replay]
    ways = ", ".join(f"{count} {way}" for way, count in Counter(map(_way, verified)).items())
    say(f"{len(verified)} of {_count(len(findings), 'episode')} verified{ways and ': '}{ways}.")
    close = sum(one.replay is Replay.CLOSE for one in verified)
    if close:
        say(f"{_count(close, 'replay')} not exact, but within {TOLERANCE:g}.")
    for reason, count in Counter(one.reason for one in findings if one.reason).items():
        say(f"{_count(count, 'episode')} cannot be verified: {reason}.")
    if wrong:
        say(f"{_count(wrong, 'episode')} false.{_other_versions(versions)}")
    if wrong or false:
        return FALSE
    return 0 if len(verified) == len(findings) else NOT_VERIFIED


def _way(finding: Finding) -> str:
    if finding.receipt and finding.replay:
        return "by receipt and replay"
    return "by receipt" if finding.receipt else "by replay"


def _other_versions(versions: Versions) -> str:
    """Return a warning where the record was made with other versions of libraries."""
    from dataselect_env.evaluation.record_file import printable

    here = dict(type(versions).current())
    parts = [f"{name.replace('_', '-')} {printable(str(value))} (here {here[name]})" for name, value in versions]
    parts = [part for part, (name, value) in zip(parts, versions, strict=True) if value != here[name]]
    if not parts:
        return ""
    return f" They were recorded with {', '.join(parts)}; a replay with the same versions is more certain."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
