"""The Dockerfile, without Docker: its own install and start commands run in a fresh virtual environment."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import pytest

from dataselect_env import __version__
from dataselect_env.server import catalogue
from tests.helpers.checkout import copy_checkout
from tests.helpers.serving import ROOT, clean_environ, running_server

pytestmark = pytest.mark.slow


@dataclass
class Image:
    """What a Dockerfile says, as far as ours says it."""

    base: str = ""
    stages: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    """Stage, COPY or RUN, and what, in order."""
    folder: str = ""
    user: str = ""
    port: str = ""
    health_check: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the rest of every instruction, its lines joined."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        name, _, rest = line.partition(" ")
        if name:
            yield name, rest


def pairs(rest: str) -> dict[str, str]:
    """Return what NAME=value pairs say."""
    split = (pair.partition("=") for pair in shlex.split(rest))
    return {name: value for name, _, value in split}


def parse(text: str) -> Image:
    """Read a Dockerfile whose later stages come from its first; an instruction that is not known here is an error."""
    image = Image()
    for name, rest in instructions(text):
        match name:
            case "FROM":
                source, _, stage = rest.partition(" AS ")
                image.base = image.base or source
                assert source in (image.base, "base")
                image.stages.append(stage)
            case "LABEL":
                image.labels.update(pairs(rest))
            case "ENV":
                expanded = Template(rest).substitute(image.environ) if "$" in rest else rest
                image.environ.update(pairs(expanded))
            case "COPY" | "RUN":
                image.steps.append((image.stages[-1], name, rest))
            case "WORKDIR":
                image.folder = rest
            case "USER":
                image.user = rest
            case "EXPOSE":
                image.port = rest
            case "HEALTHCHECK":
                image.health_check = json.loads(rest.partition("CMD ")[2])
            case "CMD":
                image.command = json.loads(rest)
            case _:
                raise AssertionError(f"unknown instruction: {name}")
    return image


IMAGE = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def test_the_base_is_slim_and_pinned_by_digest() -> None:
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", IMAGE.base)


def test_the_labels() -> None:
    prefix = "org.opencontainers.image."
    labels = {name.removeprefix(prefix): value for name, value in IMAGE.labels.items()}
    assert labels["title"] == catalogue.NAME
    assert labels["version"] == __version__
    assert labels["licenses"] == "MIT"
    assert labels["vendor"] == catalogue.AUTHOR
    assert labels["description"]


def test_it_runs_as_anybody_on_the_port_that_openenv_reaches() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", IMAGE.user)  # a number: the user need not exist
    assert IMAGE.port == IMAGE.environ["PORT"] == "8000"


def test_it_writes_to_the_temporary_folder_alone() -> None:
    assert IMAGE.environ["TMPDIR"] == "/tmp"  # noqa: S108  (the one folder that a read-only container may write)
    assert IMAGE.environ["DATASELECT_STORE"] == f"sqlite:///{IMAGE.environ['TMPDIR']}/dataselect.db"
    assert IMAGE.environ["PYTHONDONTWRITEBYTECODE"] == "1"


def test_every_dependency_is_pinned_by_hash() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    requirements = [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line[:1].strip("# ")]
    assert len(requirements) > 20
    for requirement in requirements:
        # at least two files of each release: a wheel, and the source for those who may not install wheels
        assert re.fullmatch(r"[\w.-]+==\S+( --hash=sha256:[0-9a-f]{64}){2,}", requirement), requirement
    assert "scikit-learn==" in text
    assert not re.search(r"^(openenv|gradio|pytest|ruff)==", text, re.MULTILINE)


def test_the_build_context_holds_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copies = [rest for _, name, rest in IMAGE.steps if name == "COPY" and not rest.startswith("--from=")]
    copied = {source.removeprefix("./") for rest in copies for source in rest.split()[:-1]}
    assert "*" in lines
    assert allowed == copied
    assert all((ROOT / source).exists() for source in copied)


@pytest.fixture(scope="module")
def container() -> Iterator[tuple[Path, Path]]:
    """Run the COPY and RUN instructions; give the folder of the virtual environment and the working directory."""
    with tempfile.TemporaryDirectory(prefix="image-") as scratch:  # too large to be kept, as pytest's own folders are
        yield build(Path(scratch))


def build(scratch: Path) -> tuple[Path, Path]:
    checkout = copy_checkout(scratch / "checkout")
    environment, image, wheels = scratch / "venv", scratch / "image", str(scratch / "wheels")
    venv.EnvBuilder(symlinks=True, with_pip=True).create(environment)
    for stage, name, rest in IMAGE.steps:
        folder = scratch / "build" if stage == "build" else image  # the base and the last stage share one
        folder.mkdir(exist_ok=True)
        if rest.startswith(("apt-get", "--from=build")):
            continue  # the compiler is the machine's; the wheels lie in one place for all stages
        if name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                if (checkout / source).is_dir():
                    shutil.copytree(checkout / source, folder / target)
                else:
                    shutil.copy(checkout / source, folder / target)
        else:
            done = subprocess.run(
                ["/bin/sh", "-c", rest.replace("/wheels", wheels)],
                cwd=folder,
                env=environ_of(environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"RUN {rest}\n{done.stdout}\n{done.stderr}"
    return environment, image


def environ_of(environment: Path) -> dict[str, str]:
    return {**clean_environ(), "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def files_of(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_its_commands_install_and_serve(container: tuple[Path, Path], tmp_path: Path) -> None:
    environment, folder = container
    executables = environment / "bin"
    (installed,) = environment.glob("lib/python*/site-packages/dataselect_env")
    assert list(installed.glob("server/__pycache__/app.*.pyc")), "pip has not compiled the package"
    assert sorted(path.name for path in folder.iterdir()) == ["openenv.yaml", "requirements.lock", "server"]
    assert list(installed.parent.glob("_dataselect_env_compiled.*")), "the compiled loop is missing"

    # The image's settings, but for a port that is free here and the place of the temporary folder.
    declared = {name: value.replace(IMAGE.environ["TMPDIR"], str(tmp_path)) for name, value in IMAGE.environ.items()}
    del declared["PORT"]
    before = files_of(environment)
    with running_server(
        cwd=folder,
        command=[str(executables / IMAGE.command[0]), *IMAGE.command[1:]],
        env={**declared, "PATH": str(executables), "HOME": str(tmp_path / "missing")},
    ) as server:
        assert server.get("/health")["version"] == __version__
        check = subprocess.run(
            [str(executables / IMAGE.health_check[0]), *IMAGE.health_check[1:]],
            env={"PORT": str(server.port)},
            check=False,
            capture_output=True,
        )
        assert check.returncode == 0, check.stderr
    assert files_of(environment) == before, "the server wrote into its own installation"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".db"] == ["dataselect.db"]

    dead = subprocess.run(
        [str(executables / IMAGE.health_check[0]), *IMAGE.health_check[1:]],
        env={"PORT": str(server.port)},
        check=False,
        capture_output=True,
    )
    assert dead.returncode != 0


@pytest.mark.slow
def test_openenv_providers_can_start_it_from_its_folder(container: tuple[Path, Path]) -> None:
    environment, folder = container
    command = [str(environment / "bin" / "python"), "-m", "uvicorn", "server.app:app", "--port", "{port}"]
    with running_server(cwd=folder, command=command) as server:
        assert server.get("/health")["status"] == "healthy"
