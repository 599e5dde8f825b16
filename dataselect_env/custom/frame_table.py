"""Tables that are DataFrames of this process instead of files."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field
from pydantic_core import PydanticCustomError

from dataselect_env.core.errors import InvalidInput
from dataselect_env.custom.definitions import Table

if TYPE_CHECKING:
    import pandas


def with_text_names(frame: pandas.DataFrame, name: str) -> pandas.DataFrame:
    """Return a DataFrame whose columns have text as names; it shares its values.

    Args:
        frame: The DataFrame.
        name: Its name in messages.

    Raises:
        InvalidInput: Its columns have several levels.
    """
    if frame.columns.nlevels > 1:
        advice = 'join the levels, as in frame.columns.map("_".join)'
        raise InvalidInput(f"{name}: its columns have names of {frame.columns.nlevels} levels; {advice}", field=name)
    return frame.rename(columns=str)


class Frame:
    """A copy of a DataFrame that equals only itself and its copies in other processes.

    Args:
        data: A DataFrame of pandas, or an object with a method ``to_pandas``.

    Raises:
        InvalidInput: It is neither, or its columns have several levels.

    Attributes:
        content: The data, (n, n_columns); names of columns are text, and the index counts the rows from 0.
    """

    def __init__(self, data: Any) -> None:
        frame = data.to_pandas() if hasattr(data, "to_pandas") else data
        if not all(hasattr(frame, name) for name in ("rename", "reset_index", "columns")):
            raise InvalidInput(f"frame: should be a DataFrame, not {type(data).__name__}", field="frame")
        self.content: pandas.DataFrame = with_text_names(frame, "frame").reset_index(drop=True).copy()
        self._identity = uuid.uuid4()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and other._identity == self._identity

    def __hash__(self) -> int:
        return hash(self._identity)


class FrameTable(Table):
    """The rows of a DataFrame; the other fields are those of a table of a task file."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    frame: Frame = Field(exclude=True, repr=False)

    def _check_source(self) -> None:
        if self.target is None:
            raise PydanticCustomError("target", "A DataFrame needs a target: the name of the column with the labels")
        for name in ("file", "bundled", "openml", "version", "sheet"):
            if getattr(self, name) is not None:
                raise PydanticCustomError("frame", "A DataFrame has no {name}", {"name": name})
