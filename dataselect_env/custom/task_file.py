"""Reads task files and registers their tasks beside the built-in ones.

    names = load_tasks("tasks.yaml")          # or DATASELECT_TASKS=tasks.yaml dataselect-env serve
    DataSelectEnv().reset(task_id=names[0], seed=7)

:mod:`dataselect_env.custom.definitions` lists the fields of a task file, and docs/own-data.md has examples.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.tasks import BUILT_IN, TASKS, Task, register
from dataselect_env.custom.definitions import TaskDefinition, TaskFile
from dataselect_env.custom.errors import TaskDefinitionError
from dataselect_env.custom.frame_table import Frame, FrameTable
from dataselect_env.custom.report import TableReport
from dataselect_env.custom.sources import TableSource
from dataselect_env.custom.task_builder import make_task

LineNumbers = dict[tuple[str, ...], int]
"""The line, from 1, of each field of a YAML text, by path; list entries are named by index, from 0."""
_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
MAX_BYTES = 10_000_000
"""Size of the largest task file."""
MAX_FIELDS = 100_000
"""Largest number of fields in a file, with YAML aliases expanded."""


class TaskFileError(Exception):
    """A task file cannot be used; the message names the file, the line and the field, and says what to change."""


# --- tasks in this process ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TaskRecipe:
    """What a custom task is built from.

    Attributes:
        name: Name of the task.
        definition: Its definition.
        folder: Folder that relative file names start at.
        stamp: Modification time, in nanoseconds, and size of its data file; None if it has none.
    """

    name: str
    definition: TaskDefinition
    folder: Path
    stamp: tuple[int, int] | None = None

    @classmethod
    def stamped(cls, name: str, definition: TaskDefinition, folder: Path) -> Self:
        """Return the recipe with the current stamp of its data file."""
        table = definition.table
        path = None if table is None or table.file is None else folder / table.file
        if path is None or not path.exists():
            return cls(name, definition, folder)
        status = path.stat()
        return cls(name, definition, folder, (status.st_mtime_ns, status.st_size))


_recipes: dict[str, TaskRecipe] = {}


def task_recipes() -> tuple[TaskRecipe, ...]:
    """Return the recipes of the custom tasks that are registered in this process."""
    return tuple(recipe for name, recipe in _recipes.items() if name in TASKS)


def data_report(name: str) -> TableReport | None:
    """Return what the table of a task was taken for; None without a table."""
    source = TASKS[name].source
    return source.report if isinstance(source, TableSource) else None


def task_digests() -> dict[str, str]:
    """Return the digest of each registered custom task: a fingerprint of its definition and its data."""
    return {recipe.name: TASKS[recipe.name].digest or "" for recipe in task_recipes()}


def add_task(recipe: TaskRecipe) -> Task:
    """Build and register a task.

    Raises:
        TaskDefinitionError: The task cannot be built; nothing was registered.
    """
    return _register(recipe, _build(recipe))


def _is_registered(recipe: TaskRecipe) -> bool:
    return _recipes.get(recipe.name) == recipe and recipe.name in TASKS


def _build(recipe: TaskRecipe) -> Task:
    if recipe.name in BUILT_IN:
        raise TaskDefinitionError(f"{recipe.name} is a built-in task; choose another name", ())
    return make_task(recipe.name, recipe.definition, recipe.folder)


def _register(recipe: TaskRecipe, task: Task) -> Task:
    register(task)
    _recipes[recipe.name] = recipe
    return task


# --- reading a file -------------------------------------------------------------------------------------------------


def load_tasks(file: str | Path) -> tuple[str, ...]:
    """Read a task file and register its tasks.

    Tasks of the same names are replaced. If neither the file nor its data have changed since the last call, nothing
    happens.

    Args:
        file: A YAML file. Names of data files in it are relative to its folder.

    Returns:
        The names of its tasks.

    Raises:
        TaskFileError: The file cannot be read or used; nothing was registered.
    """
    path = Path(file)
    definitions, lines = read_task_file(path)
    folder = path.absolute().parent
    recipes = [TaskRecipe.stamped(name, definition, folder) for name, definition in definitions.tasks.items()]
    if not all(map(_is_registered, recipes)):
        tasks = [_build_or_refuse(recipe, path.name, lines) for recipe in recipes]
        for recipe, task in zip(recipes, tasks, strict=True):
            _register(recipe, task)
    return tuple(definitions.tasks)


def load_frame(name: str, frame: Any, table: Mapping[str, Any], **fields: Any) -> Task:
    """Register a task on a DataFrame, in this process and those that it evaluates in.

    Args:
        name: Name of the task; a custom task of this name is replaced.
        frame: A DataFrame of pandas, or an object with a method ``to_pandas``, such as a DataFrame of polars or a table
            of pyarrow. It is copied.
        table: The fields of ``table`` in a task file, without those that name a file; ``target`` is required.
        fields: The other fields of a task in a task file.

    Returns:
        The task.

    Raises:
        InvalidInput: A field is wrong, or the task cannot be built. Messages count rows from 0.

    Example::

        load_frame("mine", frame, {"target": "label", "exclude": ["id"]}, noise={"uniform": 0.2}, budget=60)
    """
    try:
        own = FrameTable(frame=Frame(frame), **table)
        definition = TaskFile.model_validate({"tasks": {name: {"table": own, **fields}}}).tasks[name]
        return add_task(TaskRecipe(name, definition, Path()))
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        place = detail["loc"] if detail["loc"][:1] == ("tasks",) else ("tasks", name, "table", *detail["loc"])
        path, reason = [str(part) for part in place[2:]], _reason(detail["type"], detail["msg"], place)
    except TaskDefinitionError as error:
        path, reason = list(error.path), error.message
    field = ".".join(path).replace("[key]", "name") or None
    raise InvalidInput(f"{field}: {reason}" if field else reason, field=field)


def _build_or_refuse(recipe: TaskRecipe, file_name: str, lines: LineNumbers) -> Task:
    try:
        return _build(recipe)
    except TaskDefinitionError as error:
        place = ("tasks", recipe.name, *error.path)
        raise TaskFileError(_sentence(file_name, lines, place, error.message)) from None


def read_task_file(path: Path) -> tuple[TaskFile, LineNumbers]:
    """Return the content of a task file, checked without its data, and the line of each field.

    Raises:
        TaskFileError: The file cannot be read, is not YAML, or does not match the schema.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8. Save it as UTF-8"
        raise TaskFileError(f"{path}: cannot be read: {reason}") from None
    if len(content) > MAX_BYTES:
        raise TaskFileError(f"{path}: is larger than {MAX_BYTES // 10**6} MB, and so no task file")
    fields, lines = parse_yaml(path.name, text)
    try:
        return TaskFile.model_validate(fields), lines
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    sentences: dict[tuple[str | int, ...], str] = {}
    for detail in details:
        kind, place = detail["type"], detail["loc"]
        if kind in ("string_type", "int_type") and place[-1:] in (("str",), ("int",)):
            kind, place = "string_type", place[:-1]  # one sentence for a field that may be either
        sentences.setdefault(place, _sentence(path.name, lines, place, _reason(kind, detail["msg"], place)))
    raise TaskFileError("\n".join(sentences.values()))


def parse_yaml(name: str, text: str) -> tuple[Any, LineNumbers]:
    """Return the content of a YAML text, and the line of each field.

    Raises:
        TaskFileError: The text is not YAML, or has a field twice.
    """
    try:
        import yaml  # noqa: PLC0415  (only task files need it)
    except ImportError as error:
        raise TaskFileError("Task files need PyYAML: pip install 'dataselect-env[data]'") from error

    lines: LineNumbers = {}

    def visit(node: Any, place: tuple[str, ...]) -> None:
        lines.setdefault(place, node.start_mark.line + 1)
        if len(lines) > MAX_FIELDS:
            raise TaskFileError(f"{name}: more than {MAX_FIELDS:,} fields are too many")
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue  # such as {{ a template }}, which reading refuses
                if place == ("tasks",) and key.tag not in (_TEXT, _MERGE):
                    advice = "the name of a task should be text; put it into quotes"
                    raise TaskFileError(f"{name}, line {key.start_mark.line + 1}: tasks.{key.value}: {advice}")
                inside = (*place, key.value)
                if inside in lines:
                    raise TaskFileError(f"{name}, line {key.start_mark.line + 1}: {key.value} appears twice")
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
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise TaskFileError(_not_yaml(name, text, error)) from None


# --- messages -------------------------------------------------------------------------------------------------------


def _not_yaml(name: str, text: str, error: Exception) -> str:
    """Return the sentence for what PyYAML raised."""
    import yaml  # noqa: PLC0415

    row, reason = None, str(error)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        row, reason = None if mark is None else mark.line + 1, error.problem or error.context or ""
        reason += "; in double quotes, write a backslash twice" if "escape character" in reason else ""
    elif isinstance(error, yaml.reader.ReaderError):
        row, reason = text.count("\n", 0, error.position) + 1, f"{text[error.position]!a} is not allowed"
    elif isinstance(error, RecursionError):
        reason = "it is nested too deeply, or an anchor contains itself"
    return f"{name}{'' if row is None else f', line {row}'}: this is not YAML: {reason}"


def _sentence(name: str, lines: LineNumbers, place: Sequence[str | int], reason: str) -> str:
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
        return "a task's name should consist of at most 64 lower-case letters, digits, - and _"
    if kind == "string_type":
        return "should be text; put it into quotes if it is a number, yes, no or the like"
    return message.replace("Input should", "should").replace(" after validation", "")


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
