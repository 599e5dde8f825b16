import gc
import weakref

import numpy as np

from dataselect_env.core.data import WORLDS, accepted_datasets, dataset_number
from dataselect_env.core.episode import Episode
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.warm_start import make_warm_start, warm_start

NUMBER = accepted_datasets()["test"][0]


def test_it_is_made_once_and_always_the_same() -> None:
    first = warm_start(NUMBER)
    assert warm_start(NUMBER) is first
    again = make_warm_start(NUMBER)
    assert again.learner.model.coef_.tobytes() == first.learner.model.coef_.tobytes()
    assert again.performance == first.performance


def test_what_is_still_in_use_is_not_made_again() -> None:
    held = warm_start(NUMBER)
    warm_start.cache_clear()
    assert warm_start(NUMBER) is held


def test_episodes_that_wait_hold_no_data_set() -> None:
    seeds = [20_000 + place for place in range(3)]
    episodes = [Episode(TASKS["hard"], seed) for seed in seeds]
    starts = [weakref.ref(warm_start(dataset_number(seed))) for seed in seeds]
    warm_start.cache_clear()
    gc.collect()
    assert [start() for start in starts] == [None] * 3
    alone = Episode(TASKS["hard"], seeds[1])
    alone.select_batch(20, (1.0, 1.0, 1.0))
    episodes[1].select_batch(20, (1.0, 1.0, 1.0))
    assert episodes[1].performance == alone.performance


def test_what_it_tells_of_the_pool() -> None:
    start = warm_start(NUMBER)
    assert np.allclose(start.squares, (start.dataset.X_pool**2).sum(axis=1))
    for world in WORLDS:
        assert sorted(start.placement(world)) == sorted(np.linspace(0, 1, 1_100))
        assert start.placement(world) is start.placement(world)  # computed once


def test_episodes_leave_it_as_it_was() -> None:
    seed = 20_000
    start = warm_start(dataset_number(seed))
    weights = start.learner.model.coef_.copy()
    episode = Episode(TASKS["easy"], seed)
    episode.select_batch(50, (1.0, 1.0, 1.0))
    assert not np.array_equal(episode.learner.model.coef_, weights)
    assert np.array_equal(start.learner.model.coef_, weights)
