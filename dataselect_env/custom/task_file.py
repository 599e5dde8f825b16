"""Tasks of a user's own: a task file is read, checked, and its tasks stand beside the built-in ones.

    names = load_tasks("tasks.yaml")          # or DATASELECT_TASKS=tasks.yaml dataselect-env serve
    DataSelectEnv().reset(task_id=names[0], seed=7)

:mod:`dataselect_env.custom.definitions` says what a task file may say, docs/own-data.md shows it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from dataselect_env.core.tasks import BUILT_IN, TASKS, Task, register
from dataselect_env.custom.definitions import TaskDefinition, TaskFile
from dataselect_env.custom.task_builder import Problem, make_task

Lines = dict[tuple[str, ...], int]
"""The line, from 1, of each field of a YAML text by its path; entries of lists go by their number, from 0."""
MOST_FIELDS = 100_000
"""Fields of a file at most, counting what stands for others as often as it stands there."""


class TaskFileError(Exception):
    """A task file cannot be used; the message names the file, the line, the field and what to change."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What it takes to make a task again in another process.

    Attributes:
        name: Of the task.
        definition: What its file says.
        folder: Where relative files are looked for.
        stamp: When its file of data was changed, and its size; None where it has none.
    """

    name: str
    definition: TaskDefinition
    folder: Path
    stamp: tuple[int, int] | None = None

    @classmethod
    def now(cls, name: str, definition: TaskDefinition, folder: Path) -> Self:
        """Return this with the stamp of its file as of now."""
        table = definition.table
        path = None if table is None or table.file is None else folder / table.file
        if path is None or not path.exists():
            return cls(name, definition, folder)
        status = path.stat()
        return cls(name, definition, folder, (status.st_mtime_ns, status.st_size))


_loaded: dict[str, Loaded] = {}


def loaded() -> tuple[Loaded, ...]:
    """Return what the tasks of this process that are not built in were made from; :func:`restore` takes it."""
    return tuple(one for name, one in _loaded.items() if name in TASKS)


def fingerprints() -> dict[str, str]:
    """Return for each task of a user's own what tells it from another of the same name: its definition and its data."""
    return {one.name: TASKS[one.name].digest or "" for one in loaded()}


def restore(tasks: Iterable[Loaded]) -> None:
    """Make tasks that another process has; those that are here already stay."""
    for one in tasks:
        if _loaded.get(one.name) != one or one.name not in TASKS:
            add(one)


def add(one: Loaded) -> Task:
    """Make and register a task.

    Raises:
        Problem: It cannot be made; nothing was registered.
    """
    task = _make(one)
    register(task)
    _loaded[one.name] = one
    return task


def _make(one: Loaded) -> Task:
    if one.name in BUILT_IN:
        raise Problem(f"{one.name} is a built-in task; choose another name", ())
    return make_task(one.name, one.definition, one.folder)


def load_tasks(file: str | Path) -> tuple[str, ...]:
    """Read a task file and register its tasks; those of the same names are replaced, unless nothing has changed.

    Args:
        file: A YAML file; data files that it names are looked for in its folder.

    Returns:
        The names of its tasks.

    Raises:
        TaskFileError: It cannot be read or used; nothing was registered.
    """
    path = Path(file)
    definitions, lines = read_task_file(path)
    folder = path.absolute().parent
    candidates = [Loaded.now(name, definition, folder) for name, definition in definitions.tasks.items()]
    known = [one for one in candidates if _loaded.get(one.name) == one and one.name in TASKS]
    if known == candidates:
        return tuple(definitions.tasks)
    made = []
    for one in candidates:
        try:
            made.append(_make(one))
        except Problem as problem:
            place = ("tasks", one.name, *problem.path)
            raise TaskFileError(_sentence(path.name, lines, place, problem.message)) from None
    for one, task in zip(candidates, made, strict=True):
        register(task)
        _loaded[one.name] = one
    return tuple(definitions.tasks)


def read_task_file(path: Path) -> tuple[TaskFile, Lines]:
    """Return what a task file says, and where.

    Raises:
        TaskFileError: It is not there, no YAML, or not what a task file should be.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise TaskFileError(f"{path}: cannot be read: {reason}") from None
    content, lines = parse_yaml(path.name, text)
    try:
        return TaskFile.model_validate(content), lines
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        sentences: dict[tuple[str | int, ...], str] = {}
        for one in problems:
            kind, place = one["type"], one["loc"]
            if kind in ("string_type", "int_type") and place[-1:] in (("str",), ("int",)):
                kind, place = "string_type", place[:-1]  # what may be either is told once
            sentences.setdefault(place, _sentence(path.name, lines, place, _reason(kind, one["msg"], place)))
        raise TaskFileError("\n".join(sentences.values())) from None


def parse_yaml(name: str, text: str) -> tuple[Any, Lines]:
    """Return the content of a YAML text, and the line of each of its fields.

    Raises:
        TaskFileError: It is no YAML, or names a field twice.
    """
    try:
        import yaml  # noqa: PLC0415  (only task files need it)
    except ImportError as error:
        raise TaskFileError("Task files need PyYAML: pip install 'dataselect-env[data]'") from error

    lines: Lines = {}

    def visit(node: Any, place: tuple[str, ...]) -> None:
        lines.setdefault(place, node.start_mark.line + 1)
        if len(lines) > MOST_FIELDS:
            raise TaskFileError(f"{name}: more than {MOST_FIELDS:,} fields are too many")
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue  # such as {{ a template }}, which reading refuses
                inside = (*place, key.value)
                if inside in lines:
                    raise TaskFileError(f"{name}, line {key.start_mark.line + 1}: {key.value} stands here twice")
                lines[inside] = key.start_mark.line + 1
                visit(value, inside)
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                visit(value, (*place, str(number)))

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            visit(root, ())
        return yaml.safe_load(text), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise TaskFileError(f"{name}{where}: this is no YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise TaskFileError(f"{name}: this is no YAML: {error}") from None


def _sentence(name: str, lines: Lines, place: Sequence[str | int], reason: str) -> str:
    parts = tuple(str(part) for part in place if part != "[key]")
    line = next((lines[parts[:end]] for end in range(len(parts), -1, -1) if parts[:end] in lines), 1)
    field = ".".join(parts)
    return f"{name}, line {line}: {field + ': ' if field else ''}{reason}"


def _reason(kind: str, message: str, place: Sequence[str | int]) -> str:
    """Return what was wrong, in words for people who write YAML."""
    if kind == "extra_forbidden":
        known = list(_fields_beside(place))
        near = difflib.get_close_matches(str(place[-1]), known, 1)
        return f"unknown field{f'; did you mean {near[0]}?' if near else '.'} Allowed are {', '.join(known)}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "should be a mapping of names to values"
    if kind == "string_pattern_mismatch" and place[-1:] == ("[key]",):
        return "a task's name should be of lower-case letters, digits, - and _, at most 64"
    if kind == "string_type":
        return "should be text; put it into quotes if it is a number, yes, no or the like"
    return message.replace("Input should", "should")


def _fields_beside(place: Sequence[str | int]) -> Iterator[str]:
    """Yield the fields that are allowed beside an unknown one, from the published schema."""
    schema = TaskFile.model_json_schema()
    definitions, current = schema["$defs"], schema
    for part in place[:-1]:
        named = {**current.get("patternProperties", {}), "": current.get("additionalProperties", {})}
        options: list[dict[str, Any]] = [
            current.get("properties", {}).get(str(part)) or next(filter(None, named.values()), {})
        ]
        options += options[0].get("anyOf", []) + options[0].get("allOf", [])
        refs = [option["$ref"].rsplit("/", 1)[1] for option in options if "$ref" in option]
        current = definitions[refs[0]] if refs else next((one for one in options if one.get("type") == "object"), {})
    yield from current.get("properties", {})
