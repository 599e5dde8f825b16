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
import dataselect_env.core.specs
import dataselect_env.core.strategies.sampling
import dataselect_env.core.tasks
import dataselect_env.server.app
import env
import sampling
import server
import tasks
from dataselect_env import __version__
from tests.helpers.checkout import copy_checkout
from tests.helpers.serving import ROOT, SERVER_PY, clean_environ, running_server

PACKAGE = ROOT / "dataselect_env"
LONGEST_MODULE = 350

WINGS: dict[str, set[str]] = {
    # The wings, lowest first, with the libraries that each may import. A wing imports only from itself and those above.
    "core": {
        "_dataselect_env_compiled",
        "_dataselect_env_generator",
        "cryptography",
        "numpy",
        "pydantic",
        "pydantic_core",
        "scipy",
        "skactiveml",
        "sklearn",
        "threadpoolctl",
    },
    "custom": {"numpy", "pandas", "pyarrow", "pydantic", "pydantic_core", "sklearn", "yaml"},
    "policies": {"numpy"},
    "evaluation": {"numpy", "pydantic", "pydantic_core", "ray", "scipy", "sklearn"},
    "rendering": {"click", "matplotlib", "numpy", "pydantic"},
    "curation": {"joblib", "matplotlib", "numpy", "pandas", "pydantic", "sklearn", "threadpoolctl"},
    "server": {
        "cryptography",
        "fastapi",
        "numpy",
        "platformdirs",
        "prometheus_client",
        "psycopg",
        "psycopg_pool",
        "pydantic",
        "pydantic_settings",
        "starlette",
        "uvicorn",
        "websockets",
    },
    "testing": {"numpy"},
    "integrations": {"click", "fastapi", "inspect_ai", "openenv", "ray", "skyrl_gym", "websockets"},
    "gym": {"gymnasium", "numpy", "stable_baselines3"},
    "cli": {"click", "numpy", "pandas", "pydantic", "tokenizers"},
}
TOP = {"client"}
"""Modules beside the wings, which no wing imports."""

DOORS = {
    "server.py": "dataselect_env.cli",
    "dataselect_env/client.py": "dataselect_env.integrations.openenv_client",
    "server/app.py": "dataselect_env.server.app",
    "env.py": "dataselect_env",
    "sampling.py": "dataselect_env.core.strategies.sampling",
    "tasks.py": "dataselect_env.core.specs dataselect_env.core.tasks",
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
                whole = module == "dataselect_env" or (module.startswith("dataselect_env") and file_of(full))
                yield (full if whole else module), node.level


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


def test_the_package_has_these_wings() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    assert (folders, modules) == (set(WINGS), TOP)


@pytest.mark.parametrize("wing", WINGS)
def test_imports_point_down(wing: str) -> None:
    order = list(WINGS)
    below = {*order[: order.index(wing) + 1], "__version__"}
    for path in (PACKAGE / wing).rglob("*.py"):
        for name, _ in imports_of(path):
            library, _, module = name.partition(".")
            if library == "dataselect_env":
                assert module.partition(".")[0] in below, f"{path} must not know {name}"
            else:
                assert library in sys.stdlib_module_names | WINGS[wing], f"{path} must not need {library}"


def test_imports_are_absolute() -> None:
    for folder in ("dataselect_env", "tests", "bench", "docs", "server"):
        for path in (ROOT / folder).rglob("*.py"):
            levels = {level for _, level in imports_of(path)}
            assert levels <= ({0, 1} if path == ROOT / "server" / "__init__.py" else {0}), path


def test_the_core_loads_no_server_and_no_framework() -> None:
    files = [path.relative_to(ROOT).with_suffix("").as_posix() for path in (PACKAGE / "core").rglob("[a-z]*.py")]
    modules = ", ".join(file.replace("/", ".") for file in files)
    foreign = {"fastapi", "starlette", "uvicorn", "openenv", "gymnasium", "pydantic_settings", "click"}
    assert run_python(f"import sys, {modules}; print(sorted({foreign} & set(sys.modules)))") == "[]"


# --- doors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_a_door_only_hands_on(door: str) -> None:
    text = (ROOT / door).read_text(encoding="utf-8")
    imported = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = [getattr(node, "module", None) or node.names[0].name for node in imported]
    assert [module for module in modules if module not in sys.stdlib_module_names] == DOORS[door].split()
    assert 3 <= len(ast.parse(text).body) <= 7  # statements: docstring, import, what it hands on


def test_a_door_hands_on_the_very_same_objects() -> None:
    assert env.DataSelectEnv is dataselect_env.DataSelectEnv
    for door, room in (
        (env, dataselect_env),
        (sampling, dataselect_env.core.strategies.sampling),
        (tasks, dataselect_env.core.tasks),
    ):
        for name in door.__all__:
            home = room if hasattr(room, name) else dataselect_env.core.specs
            assert getattr(door, name) is getattr(home, name), name
    assert server.app is dataselect_env.server.app.app
    assert server.main is dataselect_env.server.app.main


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports",
    [
        "from server import app",
        "import server.app; from server import app",
        "from server.app import app; from server import app",
    ],
)
def test_the_server_door_gives_the_application_in_every_order(imports: str) -> None:
    check = "import dataselect_env.server.app as room; print(type(app).__name__, app is room.app)"
    assert run_python(f"{imports}; {check}") == "FastAPI True"


def test_the_server_door_is_what_openenv_tools_look_for() -> None:
    text = (ROOT / "server" / "app.py").read_text(encoding="utf-8")
    assert re.search(r'^if __name__ == "__main__":\n    main\(\)$', text, re.MULTILINE)


def test_server_app_run_as_a_file_takes_the_package_beside_its_folder(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "server", tmp_path / "server")
    wing = tmp_path / "dataselect_env" / "server"
    wing.mkdir(parents=True)
    for package in (wing.parent, wing):
        (package / "__init__.py").touch()
    stub = 'app = None\n\n\ndef main():\n    print("found")\n'
    (wing / "app.py").write_text(stub, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "server" / "app.py")]
    done = subprocess.run(command, env=clean_environ(), capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "found\n", done.stderr


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_tests_of_the_environment_run_by_themselves_from_a_checkout_alone(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    script = checkout / "tests" / "test_env.py"
    witness = f"""

def test_the_package_is_that_of_the_checkout() -> None:
    import dataselect_env

    assert dataselect_env.__path__ == [{str(checkout / "dataselect_env")!r}]
"""
    script.write_text(script.read_text(encoding="utf-8") + witness, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=clean_environ(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b\d\d passed in ", done.stdout), done.stdout


# --- what must stand only once --------------------------------------------------------------------------------------


def test_the_version_stands_once_in_the_code() -> None:
    sources = [*PACKAGE.rglob("*.py"), *(ROOT / door for door in DOORS), ROOT / "pyproject.toml"]
    assert [path.name for path in sources if __version__ in path.read_text(encoding="utf-8")] == ["__init__.py"]


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
