"""The wheel: it holds the package alone, and all its commands start a server from anywhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from dataselect_env import __version__
from tests.helpers.checkout import copy_checkout
from tests.helpers.serving import ROOT, clean_environ, running_server

pytestmark = pytest.mark.slow


def pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments],
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def git(*arguments: str, checkout: Path) -> str:
    done = subprocess.run(["git", "-C", str(checkout), *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def build_wheel(folder: Path) -> Path:
    source = copy_checkout(folder / "checkout")
    git("init", "--quiet", checkout=source)
    git("add", "--all", checkout=source)
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of commands of a virtual environment that has the wheel, and borrows the dependencies."""
    target = tmp_path_factory.mktemp("installed") / "venv"
    builder = venv.EnvBuilder(symlinks=True)
    builder.create(target)
    executables = Path(builder.ensure_directories(target).bin_path)
    pip("--python", str(executables / "python"), "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    (site_packages,) = target.glob("lib/python*/site-packages")
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages / "borrowed.pth").write_text("\n".join(borrowed), encoding="utf-8")
    return executables


def contents(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def is_compiled(name: str) -> bool:
    return name.startswith(("_dataselect_env_compiled.", "_dataselect_env_generator."))


def test_it_holds_the_package_alone(wheel: Path) -> None:
    names = [name for name in contents(wheel) if not is_compiled(name)]
    assert len(contents(wheel)) - len(names) <= 2
    information = f"dataselect_env-{__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"dataselect_env", information}
    package = ROOT / "dataselect_env"
    kinds = (".py", ".json", ".npz", ".html", ".css", ".js", ".svg")
    sources = {path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.suffix in kinds}
    assert {name for name in names if name.startswith("dataselect_env/")} == {*sources, "dataselect_env/py.typed"}
    assert f"{information}/licenses/LICENSE" in names


def test_building_leaves_nothing_that_git_would_add(wheel: Path) -> None:
    assert (wheel.parent / "checkout" / "build").is_dir()
    status = git("status", "--porcelain", checkout=wheel.parent / "checkout").splitlines()
    assert [line for line in status if not line.startswith("A  ")] == []  # the checkout itself is staged


def test_it_needs_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "there-is-no-such-compiler")
    names = contents(build_wheel(tmp_path))
    assert "dataselect_env/core/sgd.py" in names
    assert not any(map(is_compiled, names))


@pytest.mark.skipif(shutil.which(sysconfig.get_config_var("CC").split()[0]) is None, reason="there is no C compiler")
def test_where_there_is_a_compiler_it_has_the_compiled_loop(wheel: Path) -> None:
    assert sum(map(is_compiled, contents(wheel))) == 2


def test_it_runs_itself_and_not_the_checkout(scripts: Path, tmp_path: Path) -> None:
    code = "import dataselect_env, importlib.metadata as m; print(dataselect_env.__file__, m.version('dataselect-env'))"
    done = subprocess.run(
        [scripts / "python", "-c", code],
        cwd=tmp_path,
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    location, version = done.stdout.split()
    assert Path(location).is_relative_to(scripts.parent)
    assert version == __version__


@pytest.mark.parametrize("command", [["dataselect-env", "serve"], ["server"], ["python", "-m", "dataselect_env"]])
def test_its_commands_serve_from_anywhere(scripts: Path, command: list[str]) -> None:
    with running_server(command=[str(scripts / command[0]), *command[1:]]) as server:
        health = server.get("/health")
    assert (health["status"], health["version"]) == ("healthy", __version__)
