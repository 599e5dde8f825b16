"""What the grades of the exam add up to: means by kind of noise, and differences, with intervals over tables.

Tables are what a policy must carry over to, so they are the units: a mean is taken on each table first, over seeds,
kinds of noise, audited and not; then over tables. Intervals resample tables, which is a bootstrap clustered by table;
p values compare the means of the tables pair by pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, mode
from typing import Any

import numpy as np

from bench.transfer.contenders import CONTENDERS
from bench.transfer.problems import RECORDED, SYNTHETIC
from dataselect_env.evaluation.statistics import Difference, Interval, corrected, difference

BOTH = (True, False)
"""Audited, and not."""
Cell = tuple[str, str, str, bool]
"""Contender, table, kind of noise, whether replies are audited."""


@dataclass(frozen=True, slots=True)
class Standings:
    """The grades of an exam.

    Attributes:
        cells: Grades by seed of every cell. A contender that does not react has the same ones audited and not.
        tables: Tables with right labels that were played, in order.
        questions: Tables with labels given by people.
        left_out: Tables that cannot be played, with the reason.
    """

    cells: Mapping[Cell, Sequence[float]]
    tables: tuple[str, ...]
    questions: tuple[str, ...]
    left_out: Mapping[str, str]

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]]) -> Standings:
        """Return the standings of the records of ``exam.py``."""
        cells: dict[Cell, Sequence[float]] = {}
        left_out = {}
        for one in records:
            if "left out" in one:
                left_out[one["table"]] = one["left out"]
            for audited in BOTH if one["audited"] is None else (one["audited"],):
                if one["contender"] is not None:
                    cells[one["contender"], one["table"], one["kind"], audited] = one["grades"]
        played = dict.fromkeys((table, kind == RECORDED) for _, table, kind, _ in cells)
        tables, questions = (tuple(table for table, people in played if people is wanted) for wanted in (False, True))
        return cls(cells, tables, questions, left_out)

    @property
    def contenders(self) -> tuple[str, ...]:
        """Names of the contenders that played everything, in their order."""
        wanted = [(table, kind) for table in self.tables for kind in SYNTHETIC]
        wanted += [(table, RECORDED) for table in self.questions]
        return tuple(
            name
            for name in CONTENDERS
            if wanted and all((name, table, kind, audited) in self.cells for table, kind in wanted for audited in BOTH)
        )

    @property
    def seeds(self) -> int:
        """How many seeds most cells have."""
        return mode(map(len, self.cells.values()))

    def by_table(self, name: str, kinds: Sequence[str] = SYNTHETIC, audits: Sequence[bool] = BOTH) -> dict[str, float]:
        """Return a contender's mean grade on each table."""
        return {
            table: fmean(fmean(self.cells[name, table, kind, audited]) for kind in kinds for audited in audits)
            for table in self.tables
        }

    def mean(self, name: str, kinds: Sequence[str] = SYNTHETIC, audits: Sequence[bool] = BOTH) -> Interval:
        """Return a contender's mean grade over the tables."""
        values = list(self.by_table(name, kinds, audits).values())
        low, high = over_tables(values)
        return Interval(mean=fmean(values), low=low, high=high)

    def differences(
        self, subject: str, others: Sequence[str], kinds: Sequence[str] = SYNTHETIC, audits: Sequence[bool] = BOTH
    ) -> dict[str, Difference]:
        """Return the differences of a contender to others over the tables; p values allow for their number."""
        ours = list(self.by_table(subject, kinds, audits).values())
        found = []
        for other in others:
            theirs = list(self.by_table(other, kinds, audits).values())
            low, high = over_tables([one - two for one, two in zip(ours, theirs, strict=True)])
            found.append(difference(ours, theirs).model_copy(update={"low": low, "high": high}))
        return dict(zip(others, corrected(found), strict=True))

    def on_question(self, name: str, table: str) -> list[float]:
        """Return a contender's grades on a table with labels given by people, by seed, audited and not together."""
        columns = zip(*(self.cells[name, table, RECORDED, audited] for audited in BOTH), strict=True)
        return [fmean(grades) for grades in columns]

    def best_rule(self, audits: Sequence[bool] = BOTH) -> str:
        """Return the fixed rule with the highest mean grade, chosen in hindsight."""
        rules = [name for name in self.contenders if CONTENDERS[name].kind == "rule"]
        return max(rules, key=lambda name: fmean(self.by_table(name, audits=audits).values()))


def over_tables(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval (BCa) of the mean over tables."""
    from scipy import stats  # noqa: PLC0415  (slow to import)

    if np.ptp(values) == 0:
        return values[0], values[0]
    found = stats.bootstrap((values,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    return float(found.low), float(found.high)
