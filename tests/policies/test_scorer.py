"""Networks that score options: shapes, files, and the policy that ships."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.tasks import BUILT_IN
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy
from dataselect_env.policies.options import PACES, WIDTH
from dataselect_env.policies.scorer import Network, Scorer, load_scorer, trained_scorer
from dataselect_env.testing import check_policy

LARGEST_FILE = 200_000


def network(seed: int) -> Network:
    """Return a network of random weights that half precision represents exactly."""
    rng = np.random.default_rng(seed)
    sizes = [(WIDTH, 4), (4, 1)]
    return Network(
        tuple(rng.integers(-8, 9, size).astype(np.float64) / 8 for size in sizes),
        tuple(rng.integers(-8, 9, size[1]).astype(np.float64) / 8 for size in sizes),
    )


def test_a_scorer_is_the_mean_of_its_networks() -> None:
    features = np.random.default_rng(0).uniform(-1, 1, (7, WIDTH))
    networks = network(1), network(2)
    expected = (networks[0].scores(features) + networks[1].scores(features)) / 2
    assert np.allclose(Scorer(networks, PACES).scores(features), expected)


def test_a_file_gives_the_same_scorer(tmp_path: Path) -> None:
    path = tmp_path / "scorer.npz"
    scorer = Scorer((network(1), network(2)), (0.5, 1.0))
    scorer.save(path)
    found = load_scorer(path)
    features = np.random.default_rng(0).uniform(-1, 1, (7, WIDTH))
    assert found.paces == scorer.paces
    assert np.array_equal(found.scores(features), scorer.scores(features))


def test_a_file_for_other_features_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scorer.npz"
    np.savez(path, options_version=-1, paces=np.array(PACES))
    with pytest.raises(InvalidInput, match="train_general"):
        load_scorer(path)


@pytest.mark.parametrize(
    ("weights", "biases"),
    [
        ([(WIDTH - 1, 4), (4, 1)], [4, 1]),
        ([(WIDTH, 4), (5, 1)], [4, 1]),
        ([(WIDTH, 4), (4, 2)], [4, 2]),
    ],
)
def test_layers_that_do_not_fit_are_refused(weights: list[tuple[int, int]], biases: list[int]) -> None:
    with pytest.raises(InvalidInput, match="layers"):
        Network(tuple(map(np.zeros, weights)), tuple(map(np.zeros, biases)))


def test_the_shipped_network_is_small() -> None:
    file = resources.files("dataselect_env.policies").joinpath("trained", "general.npz")
    assert len(file.read_bytes()) < LARGEST_FILE
    assert len(trained_scorer().networks) > 1


@pytest.mark.parametrize("task_id", BUILT_IN)
def test_it_plays_every_task(task_id: str) -> None:
    assert 0 <= rollout(get_policy("general"), task_id, 20_001).grade.score <= 1


def test_it_keeps_the_contract_of_policies() -> None:
    check_policy("general")
