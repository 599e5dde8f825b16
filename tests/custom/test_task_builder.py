"""From a definition to a task: what is filled in, what is measured, what cannot be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pytest

from dataselect_env.core.arrays import Floats
from dataselect_env.core.episode import Episode
from dataselect_env.core.learner import ALPHA
from dataselect_env.core.strategies import Candidates, Strategy, registry
from dataselect_env.core.tasks import Task
from dataselect_env.custom.calibration import measured_range
from dataselect_env.custom.errors import TaskDefinitionError
from dataselect_env.custom.noise import (
    AnnotatorNoise,
    ConfusionNoise,
    InstanceDependentNoise,
    NoiseModel,
    RecordedNoise,
    UniformNoise,
    UnknownNoise,
)
from dataselect_env.custom.sources import GeneratorSource, TableSource
from tests.helpers.owning import FURTHER, RANGE, WINE, frame, made, save

GENERATOR: dict[str, Any] = {
    "generator": {"n_features": 20, "n_classes": 3},
    "split": {"seed": 30, "validation": 50, "pool": 200},
}


def noise_of(task: Task) -> NoiseModel:
    assert isinstance(task.source, TableSource | GeneratorSource)
    return task.source.noise


def problem(folder: Path | None = None, **fields: Any) -> tuple[tuple[str, ...], str]:
    """Return the field that must be changed, and the sentence about it."""
    with pytest.raises(TaskDefinitionError) as caught:
        made(folder, **fields)
    assert str(caught.value) == caught.value.message
    return caught.value.path, caught.value.message


def sizes(task: Task) -> tuple[int, int, int]:
    assert task.source is not None
    dataset = task.source.start(0).dataset
    assert task.pool_size == int(dataset.available.sum())
    return len(dataset.y[dataset.seed_rows]), len(dataset.y_validation), task.pool_size


# --- what is filled in ----------------------------------------------------------------------------------------------


def test_a_task_has_the_numbers_of_its_definition() -> None:
    task = made(
        summary="Try it.",
        table={"bundled": "wine"},
        noise={"uniform": 0.2},
        budget=33,
        max_steps=4,
        min_batch=3,
        max_batch=12,
        strategies=["margin", "k_center", "margin"],
        mixing="ranks",
        noise_trap=True,
        score={
            "performance_range": [0.4, 0.8],
            "weights": {"performance": 0.5, "noise": 0.25, "efficiency": 0.25},
            "passes": {"performance": 0.7, "noise": 0.1},
        },
    )
    assert (task.task_id, task.summary, task.flip_y) == ("mine", "Try it.", 0.2)
    assert (task.budget, task.max_steps, task.min_batch, task.max_batch) == (33, 4, 3, 12)
    assert (task.extra_strategies, task.mixing, task.noise_trap) == (("margin", "k_center"), "ranks", True)
    assert (task.performance_range, task.pass_performance, task.pass_noise) == ((0.4, 0.8), 0.7, 0.1)
    assert (task.performance_weight, task.noise_weight, task.efficiency_weight) == (0.5, 0.25, 0.25)
    assert (task.n_classes, task.has_ground_truth, task.built_in) == (3, True, False)


def test_defaults_are_a_plain_task() -> None:
    task = made(table={"bundled": "wine"})
    assert (task.budget, task.max_steps, task.min_batch, task.max_batch) == (100, 10, 5, None)
    assert (task.flip_y, task.mixing, task.noise_trap, task.extra_strategies) == (0.0, "quotas", False, ())
    low, high = task.performance_range
    assert task.pass_performance == pytest.approx((low + high) / 2, abs=0.001)
    assert "134 samples of mine in 3 classes; 0% of the labels are wrong" in task.summary


def test_the_range_is_measured_where_none_is_given() -> None:
    task = made(table={"bundled": "wine"}, budget=40)
    assert isinstance(task.source, TableSource)
    assert task.performance_range == pytest.approx(measured_range(task.source), abs=0.0006)
    assert 0 < task.performance_range[0] < task.performance_range[1] < 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({**WINE}, (9, 35, 134)),  # three for each class, a fifth
        ({**WINE, "split": {"seed": 25}}, (25, 35, 118)),
        ({**WINE, "split": {"validation": 12}}, (9, 12, 157)),
        ({**WINE, "split": {"pool": 50}}, (9, 35, 50)),
        ({**WINE, "table": {"bundled": "digits"}}, (35, 359, 1403)),  # a fiftieth, a fifth
        ({"generator": {}, "score": RANGE}, (100, 200, 1100)),
        ({"generator": {}, "score": RANGE, "budget": 1200}, (100, 200, 1200)),
        ({**GENERATOR, "score": RANGE}, (30, 50, 200)),
    ],
    ids=str,
)
def test_sizes_are_those_of_the_split_or_filled_in(fields: dict[str, Any], expected: tuple[int, int, int]) -> None:
    assert sizes(made(**fields)) == expected


def test_large_tables_have_no_more_than_the_most(tmp_path: Path) -> None:
    frame(rows=6_000).to_csv(tmp_path / "t.csv", index=False)
    task = made(tmp_path, table={"file": "t.csv", "target": "label"}, score=RANGE)
    assert sizes(task) == (100, 1000, 4900)


# --- noise ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (None, UniformNoise(0.0)),
        ({"uniform": 0.25}, UniformNoise(0.25)),
        ({"unknown": 0.1}, UnknownNoise(0.1)),
        ({"instance": {"rate": 0.3, "where": "fringe", "sharpness": 7}}, InstanceDependentNoise(0.3, "fringe", 7.0)),
        ({"instance": {"rate": 0.3}}, InstanceDependentNoise(0.3, "boundary", 5.0)),
    ],
    ids=str,
)
def test_noise_is_the_model_of_the_definition(noise: dict[str, Any] | None, expected: NoiseModel) -> None:
    for fields in ({**WINE}, {**GENERATOR, "score": RANGE}):
        if "generator" in fields and noise and "unknown" in noise:
            continue
        task = made(**fields, noise=noise)
        assert noise_of(task) == expected
        assert task.flip_y == expected.rate(None)  # type: ignore[arg-type]  # these do not look at the data
        assert task.has_ground_truth == (not isinstance(expected, UnknownNoise))


def test_a_confusion_names_classes_as_the_table_does(tmp_path: Path) -> None:
    save(tmp_path)
    table = {"file": "t.csv", "target": "label"}
    task = made(tmp_path, table=table, noise={"confusion": {"cow": {"ant": 0.3}, "bee": {"cow": 0.1}}}, score=RANGE)
    model = noise_of(task)
    assert isinstance(model, ConfusionNoise)
    assert model.matrix == pytest.approx(np.array([[1, 0, 0], [0, 0.9, 0.1], [0.3, 0, 0.7]]))
    assert task.flip_y == pytest.approx((0.1 + 0.3) / 3, abs=0.01)


def test_a_confusion_of_a_generator_names_classes_by_number() -> None:
    model = noise_of(made(**GENERATOR, noise={"confusion": {"2": {"0": 0.4}}}, score=RANGE))
    assert isinstance(model, ConfusionNoise)
    assert model.matrix == pytest.approx(np.array([[1, 0, 0], [0, 1, 0], [0.4, 0, 0.6]]))


def test_annotators_of_a_column_have_their_own_rates(tmp_path: Path) -> None:
    names = np.array(["zoe", "bob", "ann"])[np.arange(300) % 3]
    save(tmp_path, who=names)
    rates = {"ann": {"rate": 0.0}, "bob": {"rate": 0.2}, "zoe": {"rate": 0.4}, "nobody": {"rate": 0.3}}
    table = {"file": "t.csv", "target": "label", "annotator": "who"}
    task = made(tmp_path, table=table, noise={"annotators": rates}, score=RANGE)
    model = noise_of(task)
    assert isinstance(model, AnnotatorNoise)
    assert model.annotator is not None
    # Rows were mixed; a feature tells which row was whose.
    assert isinstance(task.source, TableSource)
    names_by_rank = names[np.argsort(frame()["x0"].to_numpy())]
    whose = names_by_rank[np.argsort(np.argsort(task.source.base.X[:, 0]))]
    expected = {"ann": 0.0, "bob": 0.2, "zoe": 0.4}
    assert [model.rates[code] for code in model.annotator] == [expected[name] for name in whose]


def test_annotators_without_a_column_need_shares() -> None:
    fields = {**WINE, "noise": {"annotators": {"a": {"rate": 0.1, "share": 0.75}, "b": {"rate": 0.3, "share": 0.25}}}}
    model = noise_of(made(**fields))
    assert isinstance(model, AnnotatorNoise)
    assert (model.rates.tolist(), model.shares.tolist(), model.annotator) == ([0.1, 0.3], [0.75, 0.25], None)
    assert made(**fields).flip_y == pytest.approx(0.15)
    path, message = problem(**WINE, noise={"annotators": {"a": {"rate": 0.1}}})
    assert path == ("noise", "annotators")
    assert "share" in message


def test_real_noise_comes_with_the_table(tmp_path: Path) -> None:
    right = frame()["label"].to_numpy()
    wrong = np.where(np.arange(300) % 5 == 0, np.where(right == "ant", "bee", "ant"), right)
    save(tmp_path, label=wrong, truth=right)
    task = made(tmp_path, table={"file": "t.csv", "target": "label", "true_target": "truth"}, score=RANGE)
    model = noise_of(task)
    assert isinstance(model, RecordedNoise)
    assert isinstance(task.source, TableSource)
    assert int((model.labels != task.source.base.y).sum()) == 60
    assert task.flip_y == pytest.approx(0.2, abs=0.03)
    codes = {name: code for code, name in enumerate(("ant", "bee", "cow"))}
    assert np.bincount(task.source.base.y).tolist() == [int((right == name).sum()) for name in codes]
    assert np.bincount(model.labels).tolist() == [int((wrong == name).sum()) for name in codes]


# --- what cannot be made --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({**WINE, "budget": 135}, ("budget",), "less than the budget of 135"),
        ({**WINE, "split": {"pool": 135}}, ("split", "pool"), "135 exceeds the 134 rows that are left of 178"),
        ({**WINE, "split": {"seed": 170}}, ("budget",), "0 for the pool"),
        ({**WINE, "strategies": ["margin", "mrgn"]}, ("strategies", "1"), "no such strategy"),
        ({**WINE, "strategies": ["random"]}, ("strategies", "0"), "every task offers random"),
        ({**WINE, "strategies": ["skactiveml:Nonsense"]}, ("strategies", "0"), ""),
        ({**WINE, "noise": {"confusion": {"x": {"y": 0.1}}}}, ("noise", "confusion", "x"), "there is no class x"),
        (
            {**WINE, "noise": {"confusion": {"class_0": {"y": 0.1}}}},
            ("noise", "confusion", "class_0", "y"),
            "there is no class y; there are class_0, class_1, class_2",
        ),
        (
            {**WINE, "noise": {"confusion": {"class_0": {"class_1": 1.0}, "class_1": {"class_0": 1.0}}}},
            ("noise",),
            "should be less than half",
        ),
        ({**WINE, "score": {}, "split": {"seed": 80}}, ("split",), "buying does not help here"),
        ({"generator": {"n_features": 1000}, "split": {"pool": 30_000}}, ("split",), "too many"),
        ({"generator": {}, "split": {"pool": 50}, "budget": 50, "strategies": ["x"]}, ("strategies", "0"), "no such"),
    ],
    ids=str,
)
def test_what_cannot_be_made_is_told_with_its_field(fields: dict[str, Any], path: tuple[str, ...], words: str) -> None:
    found, message = problem(**fields)
    assert found == path
    assert words in message


def test_problems_of_the_table_name_its_field(tmp_path: Path) -> None:
    save(tmp_path, constant="ant")
    for table, field, words in (
        ({"file": "u.csv", "target": "label"}, "file", "no file u.csv"),
        ({"file": "t.csv", "target": "labl"}, "target", 'Did you mean "label"'),
        ({"file": "t.csv", "target": "constant"}, "target", "class"),
        ({"file": "t.csv", "target": "label", "columns": ["x77"]}, "columns", "x77"),
        ({"file": "t.csv", "target": "label", "exclude": ["y"]}, "exclude", '"y"'),
    ):
        path, message = problem(tmp_path, table=table, score=RANGE)
        assert path == ("table", field)
        assert words in message


def test_an_annotator_of_the_column_without_a_rate_is_told(tmp_path: Path) -> None:
    save(tmp_path, who=np.array(["ann", "bob", "eve"])[np.arange(300) % 3])
    table = {"file": "t.csv", "target": "label", "annotator": "who"}
    path, message = problem(tmp_path, table=table, noise={"annotators": {"ann": {"rate": 0.1}}}, score=RANGE)
    assert path == ("noise", "annotators")
    assert message.endswith("bob, eve")


@pytest.mark.parametrize("name", [*FURTHER, "skactiveml:QueryByCommittee"])
def test_every_further_strategy_can_be_offered(name: str) -> None:
    task = made(**WINE, strategies=[name])
    assert len(task.extra_strategies) == 1
    assert task.extra_strategies[0].isidentifier()


def test_the_penalty_is_the_one_that_measures_best() -> None:
    """Many features and few labels want a high one; it does not depend on the noise."""
    wide: dict[str, Any] = {
        "generator": {"n_features": 300, "n_informative": 10},
        "split": {"seed": 30, "validation": 60, "pool": 200},
    }
    found = {}
    for rate in (0.0, 0.3):
        task = made(**wide, noise={"uniform": rate}, score=RANGE)
        source = cast("GeneratorSource", task.source)
        found[rate] = source.learner.alpha
    assert found[0.0] == found[0.3]
    assert found[0.0] is not None
    assert found[0.0] > ALPHA
    given = made(**wide, score=RANGE, learner={"alpha": 0.01})
    assert cast("GeneratorSource", given.source).learner.alpha == 0.01


def test_a_strategy_that_cannot_be_used_on_the_data_is_refused() -> None:
    def broken(candidates: Candidates, _count: int) -> Floats:
        return np.full(len(candidates.left), np.nan)

    with patch.dict(registry.STRATEGIES):
        registry.register(Strategy("broken", "Nothing.", "none", broken))
        for mixing in ("quotas", "ranks"):
            with pytest.raises(TaskDefinitionError, match="broken cannot be used here: strategy broken returned NaN"):
                made(**{**WINE, "strategies": ["margin", "broken"], "mixing": mixing})


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("no"), ZeroDivisionError(), RecursionError()])
def test_whatever_a_strategy_raises_is_told_with_its_name(error: Exception) -> None:
    def raising(_candidates: Candidates, _count: int) -> Floats:
        raise error

    with patch.dict(registry.STRATEGIES):
        registry.register(Strategy("broken", "Nothing.", "none", raising))
        path, message = problem(**{**WINE, "strategies": ["margin", "broken"]})
    assert path == ("strategies", "1")
    assert message.startswith(f"broken cannot be used here: strategy broken failed: {type(error).__name__}")


def test_scikit_activeml_for_two_classes_is_refused_for_three() -> None:
    pytest.importorskip("skactiveml")
    with pytest.raises(TaskDefinitionError, match="skactiveml_epistemic_uncertainty_sampling cannot be used here"):
        made(**{**WINE, "strategies": ["skactiveml:EpistemicUncertaintySampling"]})


def test_a_seed_set_has_a_place_for_every_class() -> None:
    with pytest.raises(TaskDefinitionError, match="2 is too small for 3 classes"):
        made(**{**WINE, "split": {"seed": 2}})


def test_a_task_that_nobody_audits_keeps_its_truth_for_oracles() -> None:
    audited, silent = made(**WINE, noise={"uniform": 0.3}), made(**WINE, noise={"uniform": 0.3}, audited=False)
    assert (silent.has_ground_truth, silent.audited) == (True, False)
    assert np.array_equal(Episode(silent, 3).mislabelled, Episode(audited, 3).mislabelled)
    assert Episode(silent, 3).mislabelled.any()


def test_whether_a_task_is_audited_belongs_to_its_definition() -> None:
    choices: list[dict[str, Any]] = [{}, {"audited": True}, {"audited": False}]
    digests = [made(**WINE, **fields).digest for fields in choices]
    assert digests[0] == digests[1] != digests[2]
