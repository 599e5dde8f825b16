"""The encoding of prepared features as a matrix; see :mod:`~dataselect_env.custom.features` for their preparation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dataselect_env.core.arrays import Floats, Indices
from dataselect_env.custom.errors import TableError

if TYPE_CHECKING:
    import pandas

MAX_CATEGORIES = 50
"""Most one-hot columns of one feature; its rarest categories share one."""
MAX_CELLS = 20_000_000
"""Largest number of rows times encoded features, 160 MB."""
BLOCK = 8
"""Columns encoded at once; limits the memory for scikit-learn's own copies."""
MISSING = "missing"
"""Category of an empty cell."""


def check_cells(frame: pandas.DataFrame, categories: Collection[str]) -> None:
    """Check the size of the matrix that prepared features will make.

    Raises:
        TableError: It has more than ``MAX_CELLS`` cells.
    """
    distinct = (int(frame[name].nunique(dropna=False)) for name in categories)
    features = frame.shape[1] - len(categories) + sum(min(count, MAX_CATEGORIES) for count in distinct)
    cells = len(frame) * features
    if cells > MAX_CELLS:
        message = (
            f"the table is too large: {len(frame):,} rows x {features:,} encoded features make {cells:,} cells, and"
        )
        advice = f"{MAX_CELLS:,} are allowed. Choose fewer features by columns or fewer rows by max_rows."
        raise TableError(f"{message} {advice}", "max_rows")


@dataclass(frozen=True)
class Encoding:
    """A fitted encoding of prepared features as a matrix: numbers first, then categories, each in the table's order.

    A missing number becomes the median; then numbers are standardised to mean 0 and standard deviation 1. A category
    becomes one column of 0 and 1, minus its mean. A missing cell is a category; a category without any of the rows
    fitted on is 0 in all columns (minus the mean). Categories are not divided by their standard deviation, which would
    make a rare category outweigh everything else: their span of 1 equals one standard deviation of a number. Columns
    without any value in the rows fitted on are left out; columns with a single value there become 0 in these rows.

    Attributes:
        blocks: Names of the columns that are encoded together, and the scikit-learn pipeline that encodes them.
        categories: Names of the columns that are categories.
    """

    blocks: tuple[tuple[tuple[str, ...], Any], ...]
    categories: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoded features; that of a category is joined to its column's name by an underscore."""
        return tuple(
            str(name)
            for block, pipeline in self.blocks
            for name in (pipeline[1].get_feature_names_out(block) if block[0] in self.categories else block)
        )

    def transform(self, frame: pandas.DataFrame) -> Floats:
        """Return prepared features, (n, n_columns), as finite numbers, (n, n_features), C-contiguous."""
        stops = np.cumsum([pipeline[-1].n_features_in_ for _, pipeline in self.blocks])
        X = np.empty((len(frame), stops[-1]))
        for (block, pipeline), stop in zip(self.blocks, stops, strict=True):
            values = _block_values(frame, block, self.categories)
            X[:, stop - pipeline[-1].n_features_in_ : stop] = pipeline.transform(values)
        return X


def fit_encoding(frame: pandas.DataFrame, categories: Collection[str], fit_rows: Indices) -> Encoding:
    """Return the encoding of prepared features, fitted on some rows.

    Args:
        frame: As :func:`prepare_features` leaves it, (n, n_columns).
        categories: Names of its text columns.
        fit_rows: Rows that medians, means, deviations and categories come from, at least one.

    Raises:
        TableError: No column has a value in ``fit_rows``.
    """
    names = [name for name in frame.columns if frame[name].iloc[fit_rows].notna().any()]
    if not names:
        raise TableError("No feature has a value in the rows to learn from.", "columns")
    numbers = [name for name in names if name not in categories]
    blocks = [tuple(numbers[start : start + BLOCK]) for start in range(0, len(numbers), BLOCK)]
    blocks += [(name,) for name in names if name in categories]
    fitted = (
        _transformer(block[0] in categories).fit(_block_values(frame, block, categories)[fit_rows]) for block in blocks
    )
    return Encoding(tuple(zip(blocks, fitted, strict=True)), frozenset(categories))


def _block_values(frame: pandas.DataFrame, block: tuple[str, ...], categories: Collection[str]) -> npt.NDArray[Any]:
    """Return columns as an array, a copy, which transformers may overwrite."""
    dtype = object if block[0] in categories else np.float64
    copy: npt.NDArray[Any] = frame[list(block)].to_numpy(dtype=dtype, copy=True)
    return copy


def _transformer(is_text: bool) -> Any:
    """Return a scikit-learn pipeline for columns of one kind; its last step is a scaler."""
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

    if not is_text:
        return make_pipeline(SimpleImputer(strategy="median", copy=False), StandardScaler(copy=False))
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=MISSING, copy=False),
        OneHotEncoder(handle_unknown="ignore", max_categories=MAX_CATEGORIES, sparse_output=False),
        StandardScaler(with_std=False, copy=False),
    )
