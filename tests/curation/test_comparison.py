"""The comparison with other ways to choose: nothing is judged on rows that it has seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from dataselect_env.core.arrays import Indices, Labels
from dataselect_env.curation import comparison
from dataselect_env.curation.comparison import EVERYTHING, NOTHING, RIVALS, compare, fold_rows
from dataselect_env.curation.model import PENALTIES, best_penalty, fit_classifier, fit_on_chosen, losses
from dataselect_env.curation.problem import NoisyTable, Settings, make_task, trusted_halves
from dataselect_env.curation.report import Comparison, Contender
from dataselect_env.evaluation.cluster import Cluster
from dataselect_env.policies import Policy, get_policy
from tests.helpers.clustering import local_nodes
from tests.helpers.curating import NAMES, SETTINGS, as_table, noisy

DATA = noisy()
TABLE = as_table(DATA)
RIGHT = np.searchsorted(NAMES, DATA.right)


def policy(name: str = "held_out_random") -> Policy:
    found = get_policy(name)
    assert isinstance(found, Policy)
    return found


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(TABLE, policy(), SETTINGS)


def contender(found: Comparison, name: str) -> Contender:
    return next(one for one in found.contenders if one.name == name)


def test_every_contender_is_judged_on_every_trusted_row(found: Comparison) -> None:
    assert [one.name for one in found.contenders] == ["held_out_random", *RIVALS, NOTHING, EVERYTHING]
    for one in found.contenders:
        assert one.accuracy * 40 == pytest.approx(round(one.accuracy * 40))
        assert (one.advantage is None) == (one.name == "held_out_random")
    assert [one.rows for one in found.contenders] == [40, 40, 40, 40, 0, 400]


def test_choosing_with_the_labels_in_view_beats_chance(found: Comparison) -> None:
    ours, chance = contender(found, "held_out_random"), contender(found, "random")
    assert ours.performance > chance.performance + 0.05
    assert chance.advantage is not None
    assert chance.advantage.mean == pytest.approx(ours.accuracy - chance.accuracy)
    assert chance.advantage.pairs == 40


def test_the_curves_start_without_a_choice_and_end_in_the_figures(found: Comparison) -> None:
    nothing = contender(found, NOTHING)
    for one in found.contenders:
        assert one.curve[0] == (0.0, nothing.accuracy, nothing.performance)
        assert one.curve[-1] == (one.rows, one.accuracy, one.performance)
    assert [rows for rows, _, _ in contender(found, "random").curve] == [0, 10, 20, 30, 40]


def test_a_policy_is_not_compared_with_itself() -> None:
    names = [one.name for one in compare(TABLE, policy("random"), replace(SETTINGS, budget=10, steps=1)).contenders]
    assert names == ["random", *RIVALS[:2], NOTHING, EVERYTHING]


def test_an_audit_is_for_every_policy_and_not_for_the_whole_table() -> None:
    def audit(rows: Indices, _given: Labels) -> Labels:
        right: Labels = RIGHT[rows]
        return right

    plain, audited = (compare(TABLE, policy("random"), replace(SETTINGS, steps=1), one) for one in (None, audit))
    assert contender(audited, "random").performance > contender(plain, "random").performance + 0.05
    assert contender(audited, EVERYTHING) == contender(plain, EVERYTHING).model_copy(
        update={"advantage": contender(audited, EVERYTHING).advantage}
    )


@pytest.mark.slow
def test_folds_on_a_cluster_are_those_of_this_process(found: Comparison) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: the extra ray")
    with local_nodes() as nodes, Cluster(nodes.address) as cluster:
        done: list[int] = []
        assert compare(TABLE, policy(), SETTINGS, None, done.append, cluster=cluster) == found
        assert done == [1] * found.folds
        settings = replace(SETTINGS, steps=1)
        audited = compare(TABLE, policy("random"), settings, lambda rows, _: RIGHT[rows], cluster=cluster)
        assert audited == compare(TABLE, policy("random"), settings, lambda rows, _: RIGHT[rows])


def test_a_fold_has_no_part_in_what_is_judged_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of a fold are never among the trusted rows that tasks and models are made with."""
    folds = fold_rows(TABLE.y_trusted, SETTINGS.seed)
    assert sorted(np.concatenate(folds).tolist()) == list(range(40))
    seen: list[NoisyTable] = []

    def watched(table: NoisyTable, rows: Indices, labels: Labels, penalty: float) -> object:
        seen.append(table)
        return fit_on_chosen(table, rows, labels, penalty)

    made: list[NoisyTable] = []

    def making(table: NoisyTable, settings: Settings, *, audited: bool) -> object:
        made.append(table)
        return make_task(table, settings, audited=audited)

    monkeypatch.setattr(comparison, "fit_on_chosen", watched)
    monkeypatch.setattr(comparison, "make_task", making)
    compare(TABLE, policy(), replace(SETTINGS, steps=1))
    assert len(made) == len(folds)
    for fold, table in zip(folds, made, strict=True):
        known = {tuple(row) for row in table.X_trusted}
        assert not known & {tuple(row) for row in TABLE.X_trusted[fold]}
    assert {id(table) for table in seen} <= {id(table) for table in made}


def test_small_classes_make_fewer_folds() -> None:
    y = np.array([0] * 20 + [1] * 3)
    folds = fold_rows(y, seed=0)
    assert [np.bincount(y[fold]).tolist()[1] for fold in folds] == [1, 1, 1]


# --- models ---------------------------------------------------------------------------------------------------------


def test_the_penalty_is_that_of_the_mean_loss() -> None:
    X, y = TABLE.X_trusted, TABLE.y_trusted
    model = fit_classifier(X, y, 0.01)
    assert isinstance(model, LogisticRegression)
    assert pytest.approx(1 / (0.01 * 40)) == model.C
    twice = fit_classifier(np.tile(X, (2, 1)), np.tile(y, 2), 0.01)
    np.testing.assert_allclose(twice.coef_, model.coef_, atol=1e-3)


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (0, 1), (0, 3), (60, 1)])
def test_the_best_penalty_has_the_lowest_loss_on_the_validation_half(count: int, seed: int) -> None:
    rows, labels = np.arange(count), TABLE.given[:count]
    known, validation = trusted_halves(TABLE.y_trusted, seed)
    found = {
        penalty: losses(
            fit_on_chosen(TABLE.only(known), rows, labels, penalty),
            TABLE.X_trusted[validation],
            TABLE.y_trusted[validation],
        ).mean()
        for penalty in PENALTIES
    }
    assert best_penalty(TABLE, rows, labels, seed) == min(found, key=lambda penalty: found[penalty])
    assert (min(found, key=lambda penalty: found[penalty]) > min(PENALTIES)) == (seed != 0)


def test_losses_stay_finite_and_find_their_class() -> None:
    X, y = np.array([[0.0], [1.0], [1e6]]), np.array([1, 4, 1])
    model = fit_classifier(X[:2], y[:2], 1e-6)
    found = losses(model, X, y)
    assert (found[:2] < 0.1).all()
    assert 100 < found[2] < 1_000
