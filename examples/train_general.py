"""Train the policy ``general`` on problems of the task ``open``, and compare it with fixed rules on held-out problems.

    pip install dataselect-env
    python examples/train_general.py --problems 10000 --processes 2

In some states of training episodes, copies of the episode try each strategy: they buy one batch in one of several
sizes, and go on by the same strategy to the end. Networks learn to predict, from the features of each option
(:mod:`dataselect_env.policies.options`), by how much its final grade differs from the mean of the state's options. The
policy takes the option with the best prediction, and asks again in the next step. This is one round of policy iteration
by rollouts (Bertsekas, Tsitsiklis and Wu, "Rollout Algorithms for Combinatorial Optimization", 1997; Lagoudakis and
Parr, "Reinforcement Learning as Classification", 2003), with all fixed rules as base policies. All copies of a state
share their random draws, so few rollouts are enough.

The problems come from seeds outside every split, which are drawn from the families of the train split. Problems of the
validation split choose the epoch, and others of the same split measure the result.
"""
# ruff: noqa: E402  (threads are limited before numpy starts them)

from __future__ import annotations

import copy
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # the arrays are small, and the processes are many

import click
import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPRegressor

from dataselect_env.core.arrays import Floats
from dataselect_env.core.models import Reply
from dataselect_env.core.strategies.rankings import BASE
from dataselect_env.core.tasks import SPLITS, get_task
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.evaluation.statistics import difference
from dataselect_env.policies import get_policy
from dataselect_env.policies.options import OWN, PACES, SCALED, SHARED, History, Option
from dataselect_env.policies.oracle import OracleEnv
from dataselect_env.policies.policy import AnyPolicy, Policy
from dataselect_env.policies.scorer import Network, Scorer, start_scorer

PACE_SHARES = (0.2, 0.6, 0.2)
"""How often each of ``PACES`` is tried."""
STATES = 3
"""States of each training episode in which the options are tried; the first is that of the reset."""
HIDDEN = (128, 64)
NETWORKS = 5
HALVINGS = 4
"""The learning curve has so many points; each has twice the states of the one before."""
EPOCHS = 16
LEARNING_RATE, PENALTY, BATCH, CHUNK = 1e-3, 3e-4, 256, 8192
FIRST_SEED = 1_000_000
"""Training problems come from seeds outside every split, which are drawn from the families of the train split."""
UNDESCRIBED = 0.1
"""Share of the options whose statistics are left out while fitting."""
WITHOUT_RANGE = 0.2
"""Share of the options whose performance range is left out while fitting, as on a user's own data."""
SCALED_COLUMNS = np.array([*map(SHARED.index, SCALED), len(SHARED) + OWN.index("score_gain")])
FIRST_STATISTIC = SHARED.index("described")
KEEP = 0.6
"""Probability that the behaviour policy buys by the strategy of the step before again."""


Features = NDArray[np.float32]
State = tuple[Features, Floats]
"""Features, (n, WIDTH), and final scores, (n,), of the options tried in a state."""


class Play:
    """An episode with its history, which can be copied and played on."""

    def __init__(self, seed: int) -> None:
        self.env = OracleEnv()
        reply = self.env.reset(task_id="open", seed=seed)
        self.history = History(self.env.episode.task)
        self.history.see(reply)
        self.reply: Reply = reply

    def __deepcopy__(self, memo: dict[int, object]) -> Play:
        twin = copy.copy(self)  # replies are never changed
        twin.env, twin.history = copy.deepcopy(self.env, memo), copy.deepcopy(self.history, memo)
        return twin

    def step(self, option: Option) -> None:
        """Play an option."""
        self.reply = self.env.step(option.action(self.history.task.extra_strategies))
        self.history.see(self.reply)

    def score(self) -> float:
        """Return the grade's score as if the episode ended now."""
        return self.env.episode.grade().score


def pace_of(play: Play, strategy: str, pace: float) -> Option:
    """Return the option of a strategy at a pace."""
    return next(option for option in play.history.options([pace]) if option.strategy == strategy)


def outcome(play: Play, option: Option) -> float:
    """Return the final score after an option on a copy, which is played on by the same strategy."""
    if option.strategy is None:
        return play.score()
    trial = copy.deepcopy(play)
    trial.step(option)
    while not trial.reply.done:
        trial.step(pace_of(trial, option.strategy, 1.0))
    return trial.score()


def states(seed: int) -> list[State]:
    """Return features, (n, WIDTH), and final scores, (n,), of the options tried in some states of an episode."""
    rng = np.random.default_rng([seed, 31])
    play, found = Play(seed), []
    steps = play.history.task.max_steps
    tried = {0, *rng.choice(steps, min(STATES - 1, steps), replace=False).tolist()}
    strategy = str(rng.choice(play.history.strategies))
    for step in range(steps):
        if step in tried:
            options = [
                *(pace_of(play, name, rng.choice(PACES, p=PACE_SHARES)) for name in play.history.strategies),
                Option(None),
            ]
            scores = [outcome(play, option) for option in options]
            found.append((play.history.features(options).astype(np.float32), np.array(scores)))
        if rng.random() > KEEP:
            strategy = str(rng.choice(play.history.strategies))
        play.step(pace_of(play, strategy, float(rng.choice(PACES))))
        if play.reply.done:
            break
    return found


def collect(seeds: range, processes: int) -> list[State]:
    """Return the states of many episodes."""
    with ProcessPoolExecutor(processes) as pool:
        episodes = pool.map(states, seeds, chunksize=8)
        with click.progressbar(episodes, length=len(seeds), label="Collecting", file=sys.stderr) as bar:
            return [state for episode in bar for state in episode]


# --- fitting --------------------------------------------------------------------------------------------------------


def centred(found: list[State]) -> State:
    """Return features and targets of all options: final scores less the mean of their state."""
    return (
        np.concatenate([features for features, _ in found]),
        np.concatenate([scores - scores.mean() for _, scores in found]),
    )


def chosen(network: Network | Scorer, found: list[State]) -> float:
    """Return the mean final score of the options that a network would choose among those that were tried."""
    return float(
        np.mean([scores[int(network.scores(features.astype(np.float64)).argmax())] for features, scores in found])
    )


def undescribed(X: Features, rng: np.random.Generator) -> Features:
    """Return features in which some options lack the statistics of the pool, or the performance range."""
    without = X.copy()
    without[rng.random(len(X)) < UNDESCRIBED, FIRST_STATISTIC : len(SHARED)] = 0.0
    without[np.ix_(np.flatnonzero(rng.random(len(X)) < WITHOUT_RANGE), SCALED_COLUMNS)] = 0.0
    return without


def fit(found: list[State], held_out: list[State], seed: int) -> tuple[Network, list[float]]:
    """Return the network of the best epoch on held-out states, and its curve: the value of its choices by epoch."""
    rng = np.random.default_rng([seed, 32])
    X, y = centred(found)
    model = MLPRegressor(
        hidden_layer_sizes=HIDDEN, alpha=PENALTY, batch_size=BATCH, learning_rate_init=LEARNING_RATE, random_state=seed
    )
    model.partial_fit(X[:BATCH], y[:BATCH])
    best, curve = network_of(model), []
    for epoch in range(EPOCHS):
        model._optimizer.learning_rate_init = LEARNING_RATE * (1 - epoch / EPOCHS)
        order = rng.permutation(len(X))
        for begin in range(0, len(X) - BATCH + 1, CHUNK):
            rows = order[begin : begin + CHUNK]
            model.partial_fit(undescribed(X[rows], rng), y[rows])
        network = network_of(model)
        curve.append(chosen(network, held_out))
        if curve[-1] == max(curve):
            best = network
    return best, curve


def network_of(model: MLPRegressor) -> Network:
    """Return the weights of a fitted regressor."""
    return Network(
        tuple(np.asarray(weight, dtype=np.float64) for weight in model.coefs_),
        tuple(np.asarray(bias, dtype=np.float64) for bias in model.intercepts_),
    )


# --- comparison -----------------------------------------------------------------------------------------------------


def final_scores(seed: int, scorer: Scorer) -> dict[str, float]:
    """Return the scores of ``general`` and of the fixed rules in one episode."""
    policies: list[AnyPolicy] = [Policy("general", "The network.", lambda task, _rng: start_scorer(scorer, task))]
    policies += [get_policy(name) for name in (*BASE, *get_task("open").extra_strategies)]
    return {policy.name: rollout(policy, "open", seed).grade.score for policy in policies}


def compare(scorer: Scorer, seeds: range, processes: int) -> dict[str, Any]:
    """Return mean scores by policy, and the difference of ``general`` to each rule with its interval."""
    with ProcessPoolExecutor(processes) as pool:
        rows = list(pool.map(partial(final_scores, scorer=scorer), seeds, chunksize=4))
    result: dict[str, Any] = {}
    for name in rows[0]:
        found = difference([row["general"] for row in rows], [row[name] for row in rows])
        result[name] = {
            "score": round(float(np.mean([row[name] for row in rows])), 4),
            "general_above_by": [round(float(value), 4) for value in (found.mean, found.low, found.high)],
        }
    return result


def learning_curve(found: list[State], held_out: list[State], processes: int) -> list[dict[str, float]]:
    """Return the value of the choices of one network on held-out states, by number of training states."""
    sizes = [len(found) >> halvings for halvings in range(HALVINGS, 0, -1)]
    with ProcessPoolExecutor(processes) as pool:
        fitted = list(pool.map(fit, [found[:size] for size in sizes], [held_out] * HALVINGS, [0] * HALVINGS))
    return [{"states": size, "value": round(max(curve), 4)} for size, (_, curve) in zip(sizes, fitted, strict=True)]


@click.command(context_settings={"show_default": True})
@click.option("--problems", default=12_000, help="Training problems.")
@click.option("--held-out", default=300, help="Problems of the validation split that choose the epoch.")
@click.option("--compare-on", default=400, help="Other problems of the validation split, for the comparison.")
@click.option("--processes", default=os.cpu_count() or 1, help="Worker processes.")
@click.option("--out", default="general", type=click.Path(path_type=Path, file_okay=False), help="Folder for results.")
def main(*, problems: int, held_out: int, compare_on: int, processes: int, out: Path) -> None:
    """Train the network and write it to ``<out>/general.npz``, with ``<out>/general.json`` beside it."""
    out.mkdir(parents=True, exist_ok=True)
    begin, validation = time.perf_counter(), SPLITS["validation"].first_seed
    found = collect(range(FIRST_SEED, FIRST_SEED + problems), processes)
    unseen = collect(range(validation, validation + held_out), processes)
    collected = time.perf_counter()
    with ProcessPoolExecutor(min(processes, NETWORKS)) as pool:
        fitted = list(pool.map(partial(fit, found, unseen), range(NETWORKS)))
    scorer = Scorer(tuple(network for network, _ in fitted), PACES)
    scorer.save(out / "general.npz")
    done = time.perf_counter()
    tried = np.array([scores for _, scores in unseen])
    report: dict[str, Any] = {
        "problems": problems,
        "states": len(found),
        "processes": processes,
        "seconds": {"collecting": round(collected - begin), "fitting": round(done - collected)},
        "held_out_states": {
            "problems": held_out,
            "best_fixed_option": round(float(tried.mean(axis=0).max()), 4),
            "each_state's_best_option": round(float(tried.max(axis=1).mean()), 4),
            "networks": round(chosen(scorer, unseen), 4),
            "by_epoch": [[round(value, 4) for value in curve] for _, curve in fitted],
            "by_training_states": learning_curve(found, unseen, processes),
        },
        "validation_problems": compare(
            scorer, range(validation + held_out, validation + held_out + compare_on), processes
        ),
    }
    (out / "general.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for name, result in report["validation_problems"].items():
        click.echo(f"{name:24}{result['score']:.3f}")


if __name__ == "__main__":
    main()
