"""Numbers in text columns: what people and programs write around them, and how it is read.

A column is read as a whole. One notation must fit all of its values: a grouping sign, a decimal sign, and the same
currency sign, percent sign or unit around each number. Marks such as ``?`` or ``-`` are missing values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from dataselect_env.core.arrays import Floats
from dataselect_env.custom.columns import EMPTY_WORDS

MISSING_MARKS = EMPTY_WORDS | {"?", "-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "*", "\\N"}
"""Texts that stand for a missing number or date."""
MAX_LENGTH = 40
"""Longest text, in characters, that is taken for a number."""
_SEPARATORS = r"\w\s.,'+<>~=/\\:()\-"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)(?P<prefix>[^{_SEPARATORS}]{{0,3}})\s?(?P<inner_sign>[-+]?)"
    r"(?P<body>\d(?:[\d.,' ]*[\d.,])?|[.,]\d+)(?P<exponent>[eE][-+]?\d+)?"
    rf"\s?(?P<suffix>(?:[^{_SEPARATORS}]|[^\W\d_]){{0,8}})"
)
_ACCOUNTING = re.compile(r"\((?P<number>[^()]+)\)|(?P<trailing>\d[\d.,' ]*)-")
_ASCII = str.maketrans({"\u2212": "-", "\u2019": "'", "\u00a0": " ", "\u202f": " ", "\u2009": " "})
"""ASCII equivalents of the minus sign, the apostrophe, and no-break, narrow and thin spaces."""
_MULTIPLIERS = frozenset("kKmMbB")


class Notation(NamedTuple):
    """A way to write numbers."""

    grouping: str
    decimal: str

    @property
    def pattern(self) -> str:
        """A regular expression for unsigned numbers."""
        group = re.escape(self.grouping)
        groups = rf"[1-9]\d{{0,2}}(?:{group}\d{{2,3}})*{group}\d{{3}}|" if group else ""
        return rf"(?:{groups}\d+)?(?:{re.escape(self.decimal)}\d*)?"

    def value(self, body: str) -> str:
        """Return an unsigned number with a decimal point and without grouping."""
        return body.replace(self.grouping, "").replace(self.decimal, ".") if self.grouping else body


NOTATIONS = {
    notation: re.compile(notation.pattern)
    for notation in (
        Notation("", "."),
        Notation(",", "."),
        Notation(".", ","),
        Notation(" ", ","),
        Notation(" ", "."),
        Notation("'", "."),
        Notation("'", ","),
    )
}
"""Patterns by notation; the first one that fits all numbers of a column is taken."""


class Numbers(NamedTuple):
    """Distinct texts of a column as numbers.

    Attributes:
        values: The numbers, (n,); NaN for a missing value.
        example: A text that is not a plain number, if there is one, or any other, and its number.
        marks: The texts that stand for a missing value.
        notation: How the numbers are written.
    """

    values: Floats
    example: tuple[str, float]
    marks: tuple[str, ...]
    notation: Notation


def read_numbers(texts: Sequence[str], notations: Iterable[Notation] | None = None) -> Numbers | None:
    """Return distinct texts as numbers; None unless one notation fits all of them.

    Args:
        texts: The texts, distinct.
        notations: Notations to try, in this order; default: all ``NOTATIONS``.

    >>> read_numbers(["1,250", "?", "980"]).values, read_numbers(["1,250", "?", "980"]).notation
    (array([1250.,   nan,  980.]), Notation(grouping=',', decimal='.'))
    >>> read_numbers(["0,5", "1.250,75"]).values, read_numbers(["$3.50", "$4"]).values, read_numbers(["12%", "3"])
    (array([5.00000e-01, 1.25075e+03]), array([3.5, 4. ]), None)
    """
    cleaned = [_cleaned(text) for text in texts]
    marks = tuple(text for text, clean in zip(texts, cleaned, strict=True) if clean in MISSING_MARKS)
    matches = [_match(clean) for clean in cleaned]
    found = [match for match in matches if match is not None]
    if not found or len(found) + len(marks) < len(texts):
        return None
    if len({(match["prefix"], match["suffix"]) for match in found}) > 1:
        return None
    for notation in NOTATIONS if notations is None else notations:
        if all(NOTATIONS[notation].fullmatch(match["body"]) for match in found):
            values = np.array([np.nan if match is None else _value(match, notation) for match in matches])
            numeric = [place for place, match in enumerate(matches) if match is not None]
            place = next((place for place in numeric if not _is_plain(texts[place])), numeric[0])
            return Numbers(values, (texts[place], float(values[place])), marks, notation)
    return None


def nearly_numbers(texts: Sequence[str]) -> str | None:
    """Return a text that keeps a column from being numbers, if most of its distinct texts look like numbers."""
    numeric = sum(map(_looks_numeric, texts))
    if numeric <= len(texts) / 2:
        return None
    return next((text for text in texts if not _looks_numeric(text)), None) or next(
        (text for text in texts if not _is_plain(text)), texts[0]
    )


def _cleaned(text: str) -> str:
    return text.strip().translate(_ASCII)


def _match(cleaned: str) -> re.Match[str] | None:
    return _NUMBER.fullmatch(cleaned) if len(cleaned) <= MAX_LENGTH and cleaned not in MISSING_MARKS else None


def _looks_numeric(text: str) -> bool:
    cleaned = _cleaned(text)
    negative = _ACCOUNTING.fullmatch(cleaned)  # which is not read: (3.50) and 3.50- may be negative or not
    match = _match((negative["number"] or negative["trailing"]) if negative else cleaned)
    if match is None or not any(pattern.fullmatch(match["body"]) for pattern in NOTATIONS.values()):
        return False
    return not match["suffix"][:1].isalpha() or match["suffix"] in _MULTIPLIERS


def _is_plain(text: str) -> bool:
    return re.fullmatch(r"\s*[-+]?((0|[1-9]\d*)\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", text) is not None


def _value(match: re.Match[str], notation: Notation) -> float:
    negative = "-" in match["sign"] + match["inner_sign"]
    return float(f"{'-' if negative else ''}{notation.value(match['body'])}{match['exponent'] or ''}")
