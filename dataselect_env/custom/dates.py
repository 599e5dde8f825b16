"""Dates in text columns: ISO 8601 is read, every other order of day, month and year is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from dataselect_env.core.arrays import Floats
from dataselect_env.custom.numerals import MISSING_MARKS

_ISO = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?)?)?"
)
_ANY_ORDER = re.compile(
    r"(\d{1,2}([./-])\d{1,2}\2\d{4}|\d{4}([./])\d{1,2}\3\d{1,2}|\d{1,2}/\d{1,2}/\d\d)([T ,]+\d{1,2}:\d\d.*)?"
)


def read_dates(texts: Sequence[str]) -> Floats | None:
    """Return distinct texts as seconds since 1970 (UTC unless they have a time zone), (n,); None unless all are dates.

    Marks of missing values become NaN.

    >>> read_dates(["1970-01-02", "1970-01-01T00:01Z", "?"]).tolist()
    [86400.0, 60.0, nan]
    >>> read_dates(["02.01.1970"]), read_dates(["1970-02-30"])
    (None, None)
    """
    import pandas  # noqa: PLC0415

    cleaned = [None if text.strip() in MISSING_MARKS else text.strip().replace(",", ".") for text in texts]
    if not any(cleaned) or not all(text is None or _ISO.fullmatch(text) for text in cleaned):
        return None
    try:
        stamps = pandas.Series(pandas.to_datetime(cleaned, format="ISO8601", utc=True))
    except ValueError:  # 30 February, or beyond the range of pandas
        return None
    seconds: Floats = (stamps - pandas.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64)
    return seconds


def nearly_date(texts: Sequence[str]) -> str | None:
    """Return a text that keeps a column from being dates, if most of its distinct texts look like dates."""
    if sum(map(_looks_like_date, texts)) <= len(texts) / 2:
        return None
    alone = (text for text in texts if text.strip() not in MISSING_MARKS and read_dates([text]) is None)
    return next(alone, texts[0])


def _looks_like_date(text: str) -> bool:
    return bool(_ISO.fullmatch(text.strip()) or _ANY_ORDER.fullmatch(text.strip()))
