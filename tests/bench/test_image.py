"""bench/image: the page is made from the results, and the checks notice what they are for."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.image import base, checks, page
from bench.image.podman import Podman
from dataselect_env import __version__
from dataselect_env.core.tasks import DYNAMICS_VERSION, TASKS

RESULTS = page.load()


def test_the_page_is_rendered_from_the_results() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.rendered(text, RESULTS) == text, "run python -m bench.image.page"
    assert set(re.findall(r"<!-- rendered: (\w+) -->", text)) == set(page.RENDERERS)


def test_the_results_are_of_this_version() -> None:
    assert RESULTS["versions"]["package"] == __version__
    assert RESULTS["versions"]["dynamics"] == DYNAMICS_VERSION
    assert RESULTS["inside"]["scores"].keys() == RESULTS["served"]["episodes"].keys() == TASKS.keys()
    assert "://" not in page.RESULTS.read_text(encoding="utf-8")


def test_an_image_that_is_too_large_fails() -> None:
    layers = [{"bytes": checks.MOST_BYTES}, {"bytes": checks.MOST_BYTES}]
    assert checks.size(layers)["added_bytes"] == checks.MOST_BYTES
    with pytest.raises(AssertionError, match="bytes to its base"):
        checks.size([*layers, {"bytes": 1}])


@pytest.mark.parametrize("part", ["RootFS", "Config"])
def test_two_builds_that_differ_fail(part: str) -> None:
    images: dict[str, Any] = {
        name: {"RootFS": {"Layers": ["a"]}, "Config": {"User": "65532"}, "Id": name} for name in ("one", "other")
    }
    podman = cast(Podman, SimpleNamespace(inspect=images.__getitem__))
    assert checks.same(podman, "one", "other") == {"layers": 1, "same_id": False}
    images["other"][part] = {"Layers": ["b"]}
    with pytest.raises(AssertionError, match="differ"):
        checks.same(podman, "one", "other")


def test_ids_do_not_count_when_replies_are_compared() -> None:
    reply = {"episode_id": "a", "metadata": {"episode_id": "a", "step": 1}, "reward": 0.5}
    assert checks.without_id(reply) == {"metadata": {"step": 1}, "reward": 0.5}


def test_the_base_is_what_the_first_stage_names() -> None:
    assert base.pinned("# comment\nFROM python:3.11@sha256:0 AS base\nFROM base\n") == "python:3.11@sha256:0"
