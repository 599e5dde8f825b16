"""A second implementation of the dynamics, with plain scikit-learn calls, gives the same episodes."""

import numpy as np
import pytest

from bench.speed.textbook import TextbookEnv
from dataselect_env import Action, DataSelectEnv
from dataselect_env.core import sgd
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import PINNED


@pytest.mark.parametrize("way", sgd.ways())
@pytest.mark.parametrize("task_id", PINNED)
@pytest.mark.parametrize(
    "seed", [7, 20_004, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (8, 20_003, 123_456_789))]
)
def test_random_episodes_are_the_same(task_id: str, seed: int, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sgd, "fastest", lambda: sgd.ways()[way])
    rng = np.random.default_rng(seed)
    textbook, env = TextbookEnv(), DataSelectEnv()
    reply = env.reset(task_id=task_id, seed=seed)
    assert textbook.reset(task_id, seed) == pytest.approx(reply.observation.current_performance, abs=1e-10)
    while not reply.done:
        weights = dict(zip(STRATEGIES, rng.dirichlet([0.5] * 3).tolist(), strict=True))
        batch_size = int(rng.integers(0, 40))
        reply = env.step(Action.select(batch_size, **weights))
        result = textbook.step(batch_size, weights)
        assert reply.info is not None
        terms = reply.info.reward_terms
        assert sum(terms.values()) - terms["terminal"] == pytest.approx(result.reward, abs=1e-10)
        assert reply.observation.current_performance == pytest.approx(result.performance, abs=1e-10)
        assert reply.observation.diversity_score == pytest.approx(result.diversity_score, abs=1e-10)
        assert reply.info.noise_ratio == result.noise_ratio
        assert reply.done == result.done
        assert env.model.coef_ == pytest.approx(textbook.model.coef_, abs=1e-10)
        assert env.model.intercept_ == pytest.approx(textbook.model.intercept_, abs=1e-10)
