"""check_strategy: the package's own strategies pass it, and each rule is broken by a strategy that fails it."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from dataselect_env.core.arrays import Floats, Mask
from dataselect_env.core.strategies import Candidates, LabelFilter, Strategy, get_strategy, register_filter
from dataselect_env.core.strategies.filters import FILTERS
from dataselect_env.core.strategies.rankings import BASE, margin
from dataselect_env.core.strategies.registry import NATIVE, NATIVE_FILTERS, STRATEGIES
from dataselect_env.testing import check_strategy
from dataselect_env.testing.strategies import RULES
from tests.helpers.broken import requires

SCIKIT_ACTIVEML = (
    "GreedySamplingX",
    "MaxHerding",
    "RandomSampling",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (
            "ContrastiveAL",
            "EpistemicUncertaintySampling",
            "Falcun",
            "GreedyBALD",
            "ProbCover",
            "ProbabilisticAL",
            "QueryByCommittee",
            "UncertaintySampling",
        )
    ),
)
"""Its classes that play all pools in seconds; of the others some need a minute."""
calls = itertools.count()
of_the_module = np.random.default_rng(0)


@pytest.mark.parametrize("name", NATIVE)
def test_strategies_of_the_package_keep_the_contract(name: str) -> None:
    check_strategy(STRATEGIES[name], classes=(2, 3, 6))


@pytest.mark.parametrize("name", BASE)
def test_base_strategies_keep_the_contract(name: str) -> None:
    check_strategy(BASE[name], classes=(2, 3, 6))


@pytest.mark.parametrize("label_filter", NATIVE_FILTERS)
@pytest.mark.parametrize("ranking", ["random", "uncertainty", "diversity", "k_center"])
def test_strategies_behind_a_filter_keep_the_contract(label_filter: str, ranking: str) -> None:
    check_strategy(get_strategy(f"{label_filter}_{ranking}"))


def test_a_filter_of_ones_own_is_checked_with_a_ranking() -> None:
    broken = LabelFilter("lost", "whose label is known", "Nobody, 1900", lambda one: np.full(len(one.X), np.nan))
    with patch.dict(FILTERS):
        register_filter(broken)
        requires(
            RULES["runs"],
            lambda: check_strategy(get_strategy("lost_margin")),
            "raised InvalidInput: filter lost returned NaN for a sample that is left",
        )


@pytest.mark.parametrize("class_name", SCIKIT_ACTIVEML)
def test_strategies_of_scikit_activeml_keep_the_contract(class_name: str) -> None:
    pytest.importorskip("skactiveml")
    classes = (2,) if class_name == "EpistemicUncertaintySampling" else (2, 5)
    check_strategy(get_strategy(f"skactiveml:{class_name}"), classes=classes)


def test_a_strategy_of_scikit_activeml_keeps_the_contract() -> None:
    pytest.importorskip("skactiveml")
    check_strategy(get_strategy("skactiveml:TypiClust"))


# --- strategies that break a rule -----------------------------------------------------------------------------------


def changed(utilities: Floats, rows: Any, value: float) -> Floats:
    utilities[rows] = value
    return utilities


def compares_the_first_two_of_the_training_set(candidates: Candidates, count: int) -> Floats:
    return margin(candidates, count) + abs(float(candidates.X_acquired[0, 0] - candidates.X_acquired[1, 0]))


def asks_for_the_noise_mask(candidates: Candidates, count: int) -> Floats:
    wrong: Mask = candidates.mislabelled  # type: ignore[attr-defined]
    return changed(margin(candidates, count), wrong, -np.inf)


def writes(candidates: Candidates, count: int) -> Floats:
    candidates.probabilities.sort(axis=1)
    return margin(candidates, count)


def writes_against_the_lock(candidates: Candidates, count: int) -> Floats:
    candidates.left.flags.writeable = True
    candidates.left[np.flatnonzero(candidates.left)[:1]] = False
    return margin(candidates, count)


def draws_from_numpy(candidates: Candidates, count: int) -> Floats:
    return np.where(candidates.left, np.random.random(len(candidates.X)), -np.inf)  # noqa: NPY002


def draws_from_python(candidates: Candidates, count: int) -> Floats:
    return margin(candidates, count) + random.random()


def draws_from_the_system(candidates: Candidates, count: int) -> Floats:
    return np.where(candidates.left, np.random.default_rng().random(len(candidates.X)), -np.inf)


def draws_from_its_module(candidates: Candidates, count: int) -> Floats:
    return np.where(candidates.left, of_the_module.random(len(candidates.X)), -np.inf)


def counts_its_calls(candidates: Candidates, count: int) -> Floats:
    return margin(candidates, count) * (1 + next(calls))


def is_nan_for_certain_models(candidates: Candidates, count: int) -> Floats:
    p = candidates.probabilities
    with np.errstate(all="ignore"):
        return np.where(candidates.left, -(p * np.log(p)).sum(axis=1), -np.inf)


def takes_the_margin_of_two_classes(candidates: Candidates, count: int) -> Floats:
    first, second = candidates.probabilities.T
    return changed(-abs(first - second), ~candidates.left, -np.inf)


def remembers_the_model(candidates: Candidates, count: int) -> Floats:
    entropy = candidates.once("entropy", lambda: -(candidates.probabilities**2).sum(axis=1))
    return np.where(candidates.left, entropy, -np.inf)


def remembers_the_labels(candidates: Candidates, count: int) -> Floats:
    labels = candidates.data_memory.setdefault("labels", candidates.labels.astype(np.float64))
    return np.where(candidates.left, labels, -np.inf)


BROKEN: dict[str, dict[Callable[[Candidates, int], Any], str]] = {
    "runs": {
        compares_the_first_two_of_the_training_set: "'a training set of one sample' (2 classes, ",
        takes_the_margin_of_two_classes: "'plain' (5 classes, ",
        asks_for_the_noise_mask: "raised AttributeError: 'Candidates' object has no attribute 'mislabelled'",
    },
    "read-only": {writes: "raised ValueError: ", writes_against_the_lock: "changed left"},
    "generators": {
        draws_from_numpy: "used the global generator of numpy.random",
        draws_from_python: "used the global generator of random",
    },
    "array": {
        lambda candidates, count: margin(candidates, count)[candidates.left]: "returned float64 (28,) for 40 samples",
        lambda candidates, count: margin(candidates, count)[:, None]: "returned float64 (40, 1) for 40 samples",
        lambda candidates, count: margin(candidates, count).astype(np.float32): "returned float32 (40,)",
        lambda candidates, count: margin(candidates, count).tolist(): "returned list",
    },
    "numbers": {
        is_nan_for_certain_models: "'a certain model' (2 classes, ",
        lambda candidates, count: changed(margin(candidates, count), [4], np.inf): "returned [inf] for the samples [4]",
    },
    "not left": {
        lambda candidates, _: np.zeros(len(candidates.X)): "for the samples [",
        lambda candidates, count: np.maximum(margin(candidates, count), -1e9): "returned [-1.e+09",
    },
    "enough": {
        lambda candidates, _: np.full(len(candidates.X), -np.inf): "finite utilities for 0 samples",
        lambda candidates, count: changed(
            margin(candidates, count), np.s_[9:], -np.inf
        ): "28 samples left, a batch of 28)",
    },
    "memory": {remembers_the_model: "'plain' (2 classes) returned other utilities with the memory of an earlier step"},
    "data memory": {
        remembers_the_labels: "'plain' (2 classes) returned other utilities with the data memory of another"
    },
    "pure": {draws_from_the_system: "", draws_from_its_module: "", counts_its_calls: ""},
}
"""Strategies by the rule that they break, with a part of the message."""


@pytest.mark.parametrize("rule", RULES)
def test_a_strategy_that_breaks_a_rule_fails_by_it(rule: str) -> None:
    for strategy, shown in BROKEN[rule].items():
        requires(RULES[rule], lambda: check_strategy(strategy), strategy.__qualname__, shown)  # noqa: B023


def test_a_strategy_need_only_take_the_numbers_of_classes_that_it_is_made_for() -> None:
    check_strategy(takes_the_margin_of_two_classes, classes=(2,))


def test_a_strategy_is_called_by_its_name() -> None:
    broken = Strategy("mine", "Mine.", "Nobody, 1900", lambda *_: np.zeros(3))
    requires(RULES["array"], lambda: check_strategy(broken), "mine on the pool 'plain' (2 classes, 28 samples left, ")


def test_a_check_leaves_the_global_generators_as_they_were() -> None:
    before = random.getstate(), repr(np.random.get_state())  # noqa: NPY002
    for strategy in BROKEN["generators"]:
        with pytest.raises(AssertionError):
            check_strategy(strategy)
    assert (random.getstate(), repr(np.random.get_state())) == before  # noqa: NPY002


def test_candidates_have_nothing_but_what_a_buyer_sees() -> None:
    names = {field.name for field in dataclasses.fields(Candidates)}
    arrays = {"X", "probabilities", "left", "X_acquired", "y_acquired", "labels"}
    assert names == arrays | {"rng", "seed_size", "memory", "data_memory"}
