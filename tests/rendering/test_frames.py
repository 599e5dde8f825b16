"""Render modes: text that says what was bought, pictures that depend on the episode alone."""

from __future__ import annotations

import sys

import gymnasium
import numpy as np
import pytest

from dataselect_env.gym.env import DataSelectGymEnv
from dataselect_env.rendering.plots import CannotPlot

CHOICES = ([2, 4, 0, 0], [4, 0, 2, 1], [0, 0, 0, 0])


def played(render_mode: str | None, seed: int = 1) -> DataSelectGymEnv:
    env = DataSelectGymEnv("hard", actions="multi_discrete", render_mode=render_mode)
    env.reset(seed=seed)
    for choice in CHOICES:
        env.step(np.array(choice))
    return env


def test_text_tells_the_episode() -> None:
    text = played("ansi").render()
    assert text.startswith("hard, seed 1, step 3 of 8: grade 0.")
    assert "the policy stopped" in text
    assert "\x1b[" in text
    assert text == played("ansi").render()


def test_pictures_depend_on_the_episode_alone() -> None:
    picture = played("rgb_array").render()
    assert (picture.shape, picture.dtype) == ((500, 600, 3), np.uint8)
    assert np.array_equal(picture, played("rgb_array").render())
    assert not np.array_equal(picture, played("rgb_array", seed=2).render())


def test_before_and_after_a_reset() -> None:
    for mode, empty in (("ansi", "hard: no episode yet\n"), ("rgb_array", None)):
        env = DataSelectGymEnv("hard", render_mode=mode)
        assert empty is None or env.render() == empty
        env.render()
        env.reset(seed=1)
        assert env.render() is not None
    assert played(None).render() is None


def test_pictures_without_matplotlib_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(CannotPlot, match=r"dataselect-env\[plot\]"):
        gymnasium.make("dataselect_env.gym:DataSelect-Easy-v0", render_mode="rgb_array")
