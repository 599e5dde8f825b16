"""Dates in text columns: ISO 8601 is read, every other order of day, month and year is refused, and so are times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from dataselect_env.core.arrays import Floats
from dataselect_env.custom.numerals import MISSING_MARKS

if TYPE_CHECKING:
    import pandas

_ISO = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?)?)?"
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_ANY_ORDER = re.compile(
    r"(\d{1,2}([./-])\d{1,2}\2\d{4}|\d{4}([./])\d{1,2}\3\d{1,2}|\d{1,2}/\d{1,2}/\d\d"
    rf"|\d{{1,2}}[ .-]*{_MONTH}[ .,-]*\d{{2,4}}|{_MONTH} *\d{{1,2}},? +\d{{4}})([T ,]+\d{{1,2}}:\d\d.*)?",
    re.IGNORECASE,
)
_TIME = re.compile(r"\d{1,3}:\d\d(:\d\d([.,]\d+)?)?( ?[ap]\.?m\.?)?", re.IGNORECASE)


def read_dates(texts: Sequence[str]) -> Floats | None:
    """Return distinct texts as seconds since 1970 (UTC unless they have a time zone), (n,); None unless all are dates.

    Marks of missing values become NaN.

    >>> read_dates(["1970-01-02", "1970-01-01T00:01Z", "?"]).tolist()
    [86400.0, 60.0, nan]
    >>> read_dates(["02.01.1970"]), read_dates(["1970-02-30"])
    (None, None)
    """
    cleaned = [None if text.strip() in MISSING_MARKS else text.strip() for text in texts]
    if not any(cleaned) or not all(text is None or _ISO.fullmatch(text) for text in cleaned):
        return None
    try:
        return np.array([np.nan if text is None else _seconds(text) for text in cleaned])
    except ValueError:  # 30 February, or 25 o'clock
        return None


def _seconds(text: str) -> float:
    """Return a date in ISO 8601 as seconds since 1970; pandas before 3 does not know years beyond 2262."""
    stamp = datetime.fromisoformat(f"{text}-01" if len(text) == len("2020-01") else text)
    stamp = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    return (stamp - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def seconds_since_1970(stamps: pandas.Series) -> Floats:
    """Return times with a time zone as seconds since 1970, (n,); NaN where they are missing."""
    import pandas  # noqa: PLC0415

    epoch = pandas.Timestamp(0, tz="UTC").as_unit("s")  # in nanoseconds, differences from the year 1 would overflow
    seconds: Floats = (stamps - epoch).dt.total_seconds().to_numpy(np.float64)
    return seconds


def nearly_date(texts: Sequence[str]) -> str | None:
    """Return a text that keeps a column from being dates, if most of its distinct texts look like dates."""
    if sum(map(_looks_like_date, texts)) <= len(texts) / 2:
        return None
    alone = (text for text in texts if text.strip() not in MISSING_MARKS and read_dates([text]) is None)
    return next(alone, texts[0])


def nearly_time(texts: Sequence[str]) -> str | None:
    """Return the first text that is a time of day or a duration, if most of the distinct texts of a column are."""
    times = [text for text in texts if _TIME.fullmatch(text.strip())]
    return times[0] if len(times) > len(texts) / 2 else None


def _looks_like_date(text: str) -> bool:
    return bool(_ISO.fullmatch(text.strip()) or _ANY_ORDER.fullmatch(text.strip()))
