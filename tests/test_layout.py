"""The layout: who may import whom, doors that hand on the very same objects, and what must stand only once."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dataselect_env
import dataselect_env.app
import dataselect_env.sampling
import dataselect_env.tasks
import env
import sampling
import server
import tasks
from dataselect_env import __version__
from serving import ROOT, SERVER_PY, clean_environ, running_server

PACKAGE = ROOT / "dataselect_env"
LONGEST_MODULE = 350

ROOMS: dict[str, set[str]] = {
    # Every module of the package, with the libraries that it may import. A module imports only from those above it;
    # a new one gets its line here. The core, which any program may embed, ends with env.
    "_version": set(),
    "about": set(),
    "errors": set(),
    "arrays": {"numpy"},
    "tasks": set(),
    "models": {"pydantic", "pydantic_core"},
    "data": {"numpy", "sklearn"},
    "sampling": {"_dataselect_env_compiled", "numpy"},
    "sgd": {"_dataselect_env_compiled", "numpy", "sklearn"},
    "learner": {"numpy", "scipy", "sklearn"},
    "warmstart": {"numpy"},
    "trainingset": {"numpy"},
    "origin": {"numpy"},
    "clustering": {"numpy"},
    "strategies_skactiveml": {"numpy", "skactiveml", "sklearn"},
    "strategies": {"numpy"},
    "choosing": {"numpy"},
    "suspicion": {"numpy"},
    "actions": {"pydantic"},
    "reward": {"numpy"},
    "grading": set(),
    "episode": {"numpy"},
    "env": {"sklearn"},
    "definitions": {"pydantic", "pydantic_core"},
    "encoding": {"numpy", "pandas", "sklearn"},
    "sources": {"numpy", "pandas", "pyarrow", "sklearn"},
    "tables": {"numpy", "pandas"},
    "noise": {"numpy"},
    "owndata": {"numpy", "sklearn"},
    "owntasks": {"numpy"},
    "taskfile": {"pydantic", "yaml"},
    "vector": {"numpy"},
    "settings": {"platformdirs", "pydantic", "pydantic_settings"},
    "schema": set(),
    "commits": set(),
    "retention": set(),
    "store": set(),
    "session": set(),
    "limits": set(),
    "logs": set(),
    "metrics": set(),
    "poolview": {"numpy", "pydantic"},
    "policies.policy": {"numpy"},
    "policies.features": {"numpy"},
    "policies.learned": {"numpy"},
    "policies.oracle": {"numpy"},
    "policies.reference": {"numpy"},
    "policies.degenerate": {"numpy"},
    "policies": {"numpy"},
    "evaluation": set(),
    "evaluation.rollout": {"numpy"},
    "evaluation.baseline": {"pydantic"},
    "prompts": {"pydantic"},
    "integrations": set(),
    "integrations.rows": set(),
    "integrations.dialogue": set(),
    "integrations.trl_env": set(),
    "integrations.skyrl_env": {"skyrl_gym"},
    "integrations.inspect_task": {"inspect_ai"},
    "integrations.verifiers_config": {"click"},
    "service": set(),
    "access": {"starlette"},
    "front": {"starlette"},
    "running": {"starlette", "uvicorn"},
    "catalogue": {"pydantic"},
    "wire": set(),
    "jsonrpc": set(),
    "mcp_tools": {"pydantic"},
    "mcp_protocol": set(),
    "mcp_sessions": set(),
    "mcp_stdio": {"websockets"},
    "routes": {"fastapi", "pydantic"},
    "webpage": {"fastapi", "numpy"},
    "mcp_http": {"fastapi"},
    "client": {"openenv"},
    "harness": {"openenv"},
    "taskapi": {"fastapi", "pydantic"},
    "websocket": {"fastapi"},
    "openapi": {"fastapi", "pydantic"},
    "app": {"fastapi", "starlette"},
    "integrations.ray_serve": {"fastapi", "ray"},
    "evaluation.statistics": {"numpy", "pydantic", "scipy"},
    "evaluation.journal": {"numpy", "pydantic", "sklearn"},
    "evaluation.evaluate": set(),
    "evaluation.tuning": set(),
    "evaluation.ladder": {"numpy", "pydantic"},
    "evaluation.plots": {"matplotlib"},
    "cli.terminal": {"click"},
    "remote": {"websockets"},
    "registration": {"gymnasium"},
    "gym_spaces": {"gymnasium", "numpy"},
    "gym_render": {"matplotlib", "numpy"},
    "gym_env": {"gymnasium", "numpy"},
    "gym_vector": {"gymnasium", "numpy"},
    "cli.ladder": {"click"},
    "cli.console": {"click"},
    "cli.own": {"click", "pydantic"},
    "cli.tasks_command": {"click"},
    "cli.evaluate_command": {"click"},
    "cli": {"click"},
    "serve": set(),
    "__main__": set(),
}
CORE = list(ROOMS)[: list(ROOMS).index("env") + 1]

DOORS = {
    "server.py": "dataselect_env.serve",
    "server/app.py": "dataselect_env.app",
    "env.py": "dataselect_env",
    "sampling.py": "dataselect_env.sampling",
    "tasks.py": "dataselect_env.tasks",
}


def file_of(module: str) -> Path | None:
    """Return the file of a module of the package by its full name, None when there is none."""
    path = ROOT / module.replace(".", "/")
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the full name of everything that a file imports, anywhere in it, and the level of the import."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = node.module or ""
                full = f"{module}.{alias.name}"  # of a module, or of a thing in one
                yield (full if module.startswith("dataselect_env") and file_of(full) else module), node.level


def run_python(code: str) -> str:
    """Run ``code`` in an interpreter of its own, in the checkout, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- who may import whom --------------------------------------------------------------------------------------------


def test_every_module_has_its_room() -> None:
    modules = {path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py")}
    names = {".".join(module.parts).removesuffix("__init__").removesuffix(".") for module in modules}
    assert names == {*ROOMS, ""}


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_down(room: str) -> None:
    above = list(ROOMS)[: list(ROOMS).index(room)]
    path = file_of(f"dataselect_env.{room}")
    assert path is not None
    for name, level in imports_of(path):
        assert level == 0, f"relative import of {name}"
        library, _, module = name.partition(".")
        if library == "dataselect_env":
            assert module in above, f"{room} must not know {module or 'the whole package'}"
        else:
            assert library in sys.stdlib_module_names or library in ROOMS[room], f"{room} must not need {library}"


def test_imports_are_absolute() -> None:
    for folder in ("dataselect_env", "tests", "bench", "docs", "server"):
        for path in (ROOT / folder).rglob("*.py"):
            levels = {level for _, level in imports_of(path)}
            assert levels <= ({0, 1} if path == ROOT / "server" / "__init__.py" else {0}), path


def test_the_core_loads_no_server_and_no_framework() -> None:
    modules = ", ".join(f"dataselect_env.{room}" for room in CORE)
    foreign = {"fastapi", "starlette", "uvicorn", "openenv", "gymnasium", "pydantic_settings", "click"}
    assert run_python(f"import sys, {modules}; print(sorted({foreign} & set(sys.modules)))") == "[]"


def test_the_server_loads_no_framework_and_no_test_library() -> None:
    foreign = {"openenv", "gymnasium", "gradio", "pytest", "httpx"}
    assert run_python(f"import sys, dataselect_env.app; print(sorted({foreign} & set(sys.modules)))") == "[]"


# --- doors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_a_door_hands_on_one_module(door: str) -> None:
    text = (ROOT / door).read_text(encoding="utf-8")
    imported = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = [getattr(node, "module", None) or node.names[0].name for node in imported]
    assert [module for module in modules if module not in sys.stdlib_module_names] == [DOORS[door]]
    assert 3 <= len([line for line in text.splitlines() if line.strip()]) <= 10


def test_a_door_hands_on_the_very_same_objects() -> None:
    assert env.DataSelectEnv is dataselect_env.DataSelectEnv
    for door, room in ((env, dataselect_env), (sampling, dataselect_env.sampling), (tasks, dataselect_env.tasks)):
        for name in door.__all__:
            assert getattr(door, name) is getattr(room, name), name
    assert server.app is dataselect_env.app.app
    assert server.main is dataselect_env.app.main


@pytest.mark.parametrize(
    "imports",
    [
        "from server import app",
        "import server.app; from server import app",
        "from server.app import app; from server import app",
    ],
)
def test_the_server_door_gives_the_application_in_every_order(imports: str) -> None:
    check = "import dataselect_env.app as room; print(type(app).__name__, app is room.app)"
    assert run_python(f"{imports}; {check}") == "FastAPI True"


def test_the_server_door_is_what_openenv_tools_look_for() -> None:
    text = (ROOT / "server" / "app.py").read_text(encoding="utf-8")
    assert re.search(r'^if __name__ == "__main__":\n    main\(\)$', text, re.MULTILINE)


def test_server_app_run_as_a_file_takes_the_package_beside_its_folder(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "server", tmp_path / "server")
    (tmp_path / "dataselect_env").mkdir()
    (tmp_path / "dataselect_env" / "__init__.py").touch()
    stub = 'app = None\n\n\ndef main():\n    print("found")\n'
    (tmp_path / "dataselect_env" / "app.py").write_text(stub, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "server" / "app.py")]
    done = subprocess.run(command, env=clean_environ(), capture_output=True, text=True, check=False)
    assert done.stdout == "found\n", done.stderr


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(SERVER_PY[1:], id="server.py"),
        pytest.param((str(ROOT / "server" / "app.py"),), id="server/app.py"),
        pytest.param(("-m", "dataselect_env"), id="dataselect_env"),
        pytest.param(("-m", "uvicorn", "server:app", "--port", "{port}"), id="server:app"),
        pytest.param(("-m", "uvicorn", "server.app:app", "--port", "{port}"), id="server.app:app"),
    ],
)
def test_every_way_to_start_it_from_a_checkout(command: tuple[str, ...]) -> None:
    with running_server(cwd=ROOT, command=(sys.executable, *command)) as running:
        assert running.get("/health")["version"] == __version__


# --- what must stand only once --------------------------------------------------------------------------------------


def test_the_version_stands_once_in_the_code() -> None:
    sources = [*PACKAGE.rglob("*.py"), *(ROOT / door for door in DOORS), ROOT / "pyproject.toml"]
    assert [path.name for path in sources if __version__ in path.read_text(encoding="utf-8")] == ["_version.py"]


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", text, re.MULTILINE)
    assert newest is not None
    assert newest[1] == __version__


def test_no_module_is_long() -> None:
    folders = (PACKAGE, *(ROOT / name for name in ("server", "tests", "bench", "docs")))
    paths = [*ROOT.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))]
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {path: length for path, length in lengths.items() if length > LONGEST_MODULE} == {}


@pytest.mark.parametrize(
    ("argument", "status", "answer"), [("--help", 0, "--port"), ("--port=no", 2, "--port"), ("easy", 2, "easy")]
)
def test_server_py_reads_its_arguments(argument: str, status: int, answer: str) -> None:
    command = [*SERVER_PY, argument]
    done = subprocess.run(command, env=clean_environ(), capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert answer in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
