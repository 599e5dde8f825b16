"""The words of the distribution are those of the code: every constant, family and kind of noise is in them."""

from __future__ import annotations

from dataselect_env.core.open import distribution, families, noise, problems
from dataselect_env.core.tasks import TASKS
from tests.helpers.serving import ROOT

CARD = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")


def test_the_card_has_every_row() -> None:
    for row in (*distribution.rows(), *distribution.family_rows(), *distribution.noise_rows()):
        name, *cells = row
        assert any(line.split(" | ")[0].strip("| `") == name for line in CARD.splitlines()), name
        assert all(cell in CARD for cell in cells), name


def test_families_and_kinds_are_all_there_with_their_splits() -> None:
    for rows, training, testing in (
        (distribution.family_rows(), families.TRAINING, families.TESTING),
        (distribution.noise_rows(), noise.TRAINING, noise.TESTING),
    ):
        splits = {name: split for name, split, meaning in rows if meaning}
        assert splits == {**dict.fromkeys(training, "train, validation"), **dict.fromkeys(testing, "test")}
    assert noise.KINDS.keys() == {*noise.TRAINING, *noise.TESTING}


def test_the_ranges_are_those_of_the_code_and_end_at_the_listed_limits() -> None:
    words = dict(distribution.rows())
    task = TASKS["open"]
    assert words["budget"].startswith(f"{problems.BUDGET[0]} to {task.budget} samples")
    assert words["steps"].startswith(f"{problems.STEPS[0]} to {task.max_steps};")
    assert words["pool"].startswith(f"{problems.POOL[0]} to {task.pool_size:,} samples")
    assert words["declared rate"].endswith(f"at most {task.flip_y:.0%}")
    assert words["classes"].endswith(f"3 to {task.n_classes}")
