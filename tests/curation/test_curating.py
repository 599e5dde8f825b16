"""Curation in one call: what it returns, that it can be repeated, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from dataselect_env.core.errors import InvalidInput
from dataselect_env.curation import Curation, curate
from dataselect_env.policies import Policy
from tests.helpers.curating import noisy

DATA = noisy()
QUICK: dict[str, Any] = {"budget": 40, "steps": 4, "compare_with_others": False}


def quick(**changes: Any) -> Curation:
    arguments = {"X": DATA.X, "y": DATA.y, "X_trusted": DATA.X_trusted, "y_trusted": DATA.y_trusted, **QUICK}
    return curate(**{**arguments, **changes})


@pytest.fixture(scope="module")
def curation() -> Curation:
    return quick()


def test_the_chosen_rows_are_cleaner_than_the_table(curation: Curation) -> None:
    assert curation.steps.tolist() == sorted(curation.steps.tolist())
    assert set(curation.steps.tolist()) == {1, 2, 3, 4}
    assert len(set(curation.rows.tolist())) == 40
    assert curation.labels.tolist() == DATA.y[curation.rows].tolist()
    assert DATA.wrong[curation.rows].mean() < DATA.wrong.mean() / 2
    assert curation.report.noise_rate == pytest.approx(DATA.wrong.mean(), abs=0.1)


def test_the_model_predicts_rows_of_the_table(curation: Curation) -> None:
    assert curation.model.score(DATA.X_test, DATA.y_test) > 0.85
    assert curation.model.classes_.tolist() == ["ant", "bee", "cow"]
    shuffled = DATA.X_test[DATA.X_test.columns[::-1]].assign(note="not seen before")
    assert curation.model.predict(shuffled).tolist() == curation.model.predict(DATA.X_test).tolist()
    assert curation.model.predict_proba(DATA.X_test).shape == (300, 3)


def test_the_model_has_learned_from_chosen_and_trusted_rows_alone(curation: Curation) -> None:
    X = pd.concat([DATA.X.iloc[curation.rows], DATA.X_trusted])
    classifier = clone(curation.model[1]).fit(curation.model[0].transform(X), [*curation.labels, *DATA.y_trusted])
    np.testing.assert_allclose(classifier.coef_, curation.model[1].coef_, atol=1e-6)


def test_the_model_is_kept_in_a_file(curation: Curation, tmp_path: Path) -> None:
    curation.save_model(tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.predict_proba(DATA.X_test), curation.model.predict_proba(DATA.X_test))


def test_the_frame_has_a_line_for_each_row(curation: Curation) -> None:
    frame = curation.to_frame()
    assert list(frame) == ["row", "step", "strategy", "suspicion", "label"]
    assert frame["row"].tolist() == curation.rows.tolist()
    audited = quick(audit=DATA.right).to_frame()
    assert list(audited) == ["row", "step", "strategy", "suspicion", "label", "given", "wrong"]
    assert audited["wrong"].tolist() == DATA.wrong[audited["row"]].tolist()
    assert audited["label"].tolist() == DATA.right[audited["row"]].tolist()


def test_the_same_arguments_give_the_same_result(curation: Curation) -> None:
    with threadpool_limits(2):
        again = quick()
    pd.testing.assert_frame_equal(again.to_frame(), curation.to_frame(), check_exact=True)
    np.testing.assert_array_equal(again.model[1].coef_, curation.model[1].coef_)
    assert again.report == curation.report
    assert quick(seed=1).rows.tolist() != curation.rows.tolist()


def test_a_comparison_does_not_change_the_choice(curation: Curation) -> None:
    done: list[int] = []
    compared = quick(compare_with_others=True, progress=done.append)
    assert compared.rows.tolist() == curation.rows.tolist()
    assert compared.report.comparison is not None
    assert sum(done) == 1 + compared.report.comparison.folds


def test_arrays_and_other_types_of_labels_are_welcome(curation: Curation) -> None:
    codes = {"ant": 0, "bee": 1, "cow": 2}
    numbers = quick(
        X=DATA.X.to_numpy(),
        X_trusted=DATA.X_trusted.to_numpy(),
        y=[codes[name] for name in DATA.y],
        y_trusted=[float(codes[name]) for name in DATA.y_trusted],
    )
    assert numbers.rows.tolist() == curation.rows.tolist()
    assert numbers.model.predict(DATA.X_test.to_numpy()).dtype.kind == "i"


def test_an_audit_may_be_a_function() -> None:
    asked: list[tuple[list[int], list[str]]] = []

    def audit(rows: Any, given: Any) -> list[str]:
        asked.append((rows.tolist(), given.tolist()))
        return list(DATA.right[rows])

    by_function, by_array = quick(audit=audit), quick(audit=DATA.right)
    pd.testing.assert_frame_equal(by_function.to_frame(), by_array.to_frame())
    assert by_function.report.wrong == DATA.wrong[by_function.rows].sum()
    assert [row for rows, _ in asked for row in rows] == by_function.rows.tolist()
    assert [label for _, given in asked for label in given] == DATA.y[by_function.rows].tolist()
    assert quick(audit=audit, compare_with_others=True).report.comparison is None


def test_a_policy_may_buy_nothing() -> None:
    curation = quick(policy="stop", compare_with_others=True)
    assert len(curation.rows) == len(curation.to_frame()) == 0
    assert curation.report.bought_by == {}
    assert curation.model.score(DATA.X_test, DATA.y_test) > 0.5
    assert "stop chose 0 of 400 rows" in str(curation.report)


def test_columns_of_all_kinds(curation: Curation) -> None:
    def dressed(frame: pd.DataFrame) -> pd.DataFrame:
        numbers = [f"{value:.6f}".replace(".", ",") for value in frame["x0"]]
        names = [f"row {place}" for place in range(len(frame))]
        return frame.assign(x0=numbers, name=names, kind=(frame["x1"] > 0).map({True: "big", False: None}))

    X, X_trusted = dressed(DATA.X), dressed(DATA.X_trusted)
    found = quick(X=X, X_trusted=X_trusted, exclude=["name"])
    kinds = {feature.name: feature.role for feature in found.model[0].features_}
    assert kinds == {**dict.fromkeys(DATA.X, "number"), "kind": "category"}
    alone = quick(X=X, X_trusted=X_trusted, columns=list(DATA.X))
    assert alone.rows.tolist() == curation.rows.tolist()
    assert found.model.predict(dressed(DATA.X_test)).shape == (300,)


def test_a_budget_of_the_whole_table_and_tiny_ones() -> None:
    assert len(quick(budget=400).rows) == 400
    assert len(quick(budget=2, steps=1).rows) == 2
    assert len(quick(budget=np.int64(10), steps=2.0).rows) == 10


# --- refusals -------------------------------------------------------------------------------------------------------

FEW = [*np.flatnonzero(DATA.y_trusted == "ant")[:2], *np.flatnonzero(DATA.y_trusted != "ant")]
FOUR_EACH = np.concatenate([np.flatnonzero(DATA.y_trusted == name)[:3] for name in ("ant", "bee", "cow")])


def trusted(rows: Any) -> dict[str, Any]:
    return {"X_trusted": DATA.X_trusted.iloc[rows], "y_trusted": DATA.y_trusted[rows]}


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"budget": 401}, "budget", "budget: 401 exceeds the 400 rows of the table"),
        ({"budget": 0}, "budget", "budget: should be an integer of at least 1, not 0"),
        ({"budget": 2.5}, "budget", "not 2.5"),
        ({"steps": 0}, "steps", "steps: should be an integer of at least 1"),
        ({"seed": -1}, "seed", "seed: should be an integer of at least 0"),
        ({"seed": 2**32}, "seed", "exceeds 4294967295"),
        ({"noise_rate": 0.5}, "noise_rate", "noise_rate: should lie in [0, 0.5), not 0.5"),
        ({"y": DATA.y[:-1]}, "y", "y: has 399 labels for 400 rows"),
        ({"audit": DATA.right[:-1]}, "audit", "audit: has 399 labels for 400 rows"),
        (trusted(DATA.y_trusted != "ant"), "y_trusted", 'y_trusted: has no row of "ant", which the table has'),
        (trusted(FEW), "y_trusted", 'each class needs at least 3 trusted rows; "ant" has 2'),
        (trusted(FOUR_EACH), "y_trusted", "9 trusted rows are too few; at least 12 are needed"),
        ({"y": ["ant"] * 400, "y_trusted": ["ant"] * 40}, "y", 'there is only one class, "ant"'),
        ({"X_trusted": DATA.X_trusted.drop(columns="x3")}, "X_trusted", "X_trusted: The rows lack columns that are"),
        (
            {"X": DATA.X.to_numpy(), "X_trusted": DATA.X_trusted.to_numpy()[:, :5]},
            "X_trusted",
            "X_trusted: has 5 columns, and the table has 6",
        ),
        ({"X": DATA.X.assign(id=range(400))}, "exclude", 'Column "id" numbers the rows'),
        ({"policy": "oracle"}, "policy", "sees hidden labels"),
        ({"policy": "best-constant"}, "policy", "best-constant"),
        ({"audit": lambda rows, _given: ["ant"] * (len(rows) - 1)}, "audit", "returned 4 labels for 5 rows"),
        ({"audit": lambda rows, _given: ["eel"] * len(rows)}, "label", '"eel" is none of the classes "ant", "bee"'),
    ],
)
def test_what_is_refused(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(words)) as caught:
        quick(**changes)
    assert (caught.value.field or "").split(".")[0] == field


def test_a_policy_is_offered_the_strategies_that_it_needs() -> None:
    curation = quick(policy="k_center")
    assert curation.report.bought_by == {"k_center": 40}


def test_a_policy_of_ones_own() -> None:
    from dataselect_env.policies import get_policy

    random = get_policy("random")
    assert isinstance(random, Policy)
    assert quick(policy=random).rows.tolist() == quick(policy="random").rows.tolist()
