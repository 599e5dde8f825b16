"""What can be said about the Dockerfile without building it; bench/image builds it and runs what it built."""

from __future__ import annotations

import re

import pytest

from dataselect_env import __version__
from dataselect_env.server import catalogue
from tests.helpers.serving import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LOCKS = {"requirements.lock": 30, "requirements-build.lock": 2}
"""Files with pinned packages, and how many there are at least."""


def test_the_base_is_slim_and_pinned_by_digest() -> None:
    first, *later = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", first[0])
    assert {source for source, _ in later} <= {first[1], *(stage for _, stage in later)}


def test_the_labels() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]+)"', DOCKERFILE))
    assert labels["title"] == catalogue.NAME
    assert labels["version"] == __version__
    assert labels["licenses"] == "MIT"
    assert labels["vendor"] == catalogue.AUTHOR
    assert labels["description"]


def test_it_runs_as_anybody_on_the_port_that_openenv_reaches() -> None:
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)  # numbers: the user need not exist
    assert re.search(r"^EXPOSE 8000$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^ENV PORT=8000\b", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize(("name", "fewest"), LOCKS.items())
def test_every_dependency_is_pinned_by_hash(name: str, fewest: int) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    requirements = [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line[:1].strip("# ")]
    assert len(requirements) >= fewest
    for requirement in requirements:
        # at least two files of each release: a wheel, and the source for those who may not install wheels
        assert re.fullmatch(r"[\w.-]+==\S+( --hash=sha256:[0-9a-f]{64}){2,}", requirement), requirement
    assert f"--require-hashes -r {name}" in DOCKERFILE


def test_what_is_pinned_for_the_image_is_what_it_needs() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))
    assert {"scikit-learn", "cryptography", "psycopg-pool"} <= pinned
    assert not {"openenv", "pytest", "ruff", "setuptools", "cython"} & pinned


def test_the_build_context_holds_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copies = re.findall(r"^COPY ((?!--from=).+) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {source.removeprefix("./") for sources in copies for source in sources.split()}
    assert "*" in lines
    assert allowed == copied
    assert all((ROOT / source).exists() for source in copied)
