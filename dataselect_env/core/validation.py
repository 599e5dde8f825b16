"""Validation of requests: the base of all wire types, and errors that name the field and what is allowed."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from dataselect_env.core.errors import InvalidInput


class WireModel(BaseModel):
    """Base of all wire types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


ModelT = TypeVar("ModelT", bound=WireModel)

LONGEST_NAME = 80
"""Characters of a field's name that an error message repeats."""
MOST_PROBLEMS = 5
"""Problems that one error message lists."""
MOST_UNKNOWN = 100
"""Unknown names of an object that are validated; each costs about a microsecond, and a request may have thousands."""


def parse(model: type[ModelT], data: object) -> ModelT:
    """Return ``data`` as a ``model``.

    Raises:
        InvalidInput: Validation failed. The message says for each field what was wrong and what is allowed. Of the
            input it repeats only names of fields.
    """
    try:
        return model.model_validate(_with_few_unknown(model, data) if isinstance(data, dict) else data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)[:MOST_PROBLEMS]
        problems = [_describe(model, detail) for detail in details]
    text = "; ".join(f"{field}: {problem}" if field else problem for field, problem in problems)
    raise InvalidInput(text, field=problems[0][0] or None)


def _with_few_unknown(model: type[BaseModel], data: dict[Any, Any]) -> dict[Any, Any]:
    """Return data in which no object has more than the first ``MOST_UNKNOWN`` unknown names."""
    fields = model.model_fields
    if len(data) > len(fields) + MOST_UNKNOWN:
        unknown = islice((name for name in data if name not in fields), MOST_UNKNOWN)
        data = {name: data[name] for name in (*(name for name in fields if name in data), *unknown)}
    for name, inner in _nested(model):
        value = data.get(name)
        if isinstance(value, dict) and (few := _with_few_unknown(inner, value)) is not value:
            data = {**data, name: few}
    return data


@lru_cache
def _nested(model: type[BaseModel]) -> tuple[tuple[str, type[BaseModel]], ...]:
    """Return the fields of a model that are models, with their types."""
    annotations = ((name, field.annotation) for name, field in model.model_fields.items())
    return tuple((name, kind) for name, kind in annotations if isinstance(kind, type) and issubclass(kind, BaseModel))


def _describe(model: type[WireModel], detail: ErrorDetails) -> tuple[str, str]:
    """Return the dotted name of the field and the message for an error of pydantic."""
    field = ".".join(str(part) for part in detail["loc"])
    field = "".join(letter if letter.isprintable() else "?" for letter in field)[:LONGEST_NAME]
    if detail["type"] == "extra_forbidden":
        owner: type[BaseModel] = model
        for part in detail["loc"][:-1]:
            inner = owner.model_fields[part].annotation if isinstance(part, str) else None
            owner = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else owner
        return field, f"unknown field; allowed are {', '.join(owner.model_fields)}"
    if detail["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return field, "Input should be a JSON object"
    return field, detail["msg"]
