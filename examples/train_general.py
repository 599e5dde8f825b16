"""Train the policy ``general`` on problems of the task ``open``, and compare it with fixed rules on held-out problems.

    pip install "dataselect-env"
    python examples/train_general.py --problems 4000 --rounds 2 --processes 2

This is approximate policy iteration by rollouts (Lagoudakis and Parr, "Reinforcement Learning as Classification",
2003). In states of training episodes, every strategy is tried on a copy of the episode: the copy buys one batch by it
and is played to its end. The first round plays on with the same strategy; later rounds with the network of the round
before. A network learns to predict from the features of each option (:mod:`dataselect_env.policies.options`) by how
much its final grade differs from the mean of the state's options. All copies of a state share their random draws, so
few rollouts are enough. Problems come from the train split; the validation split decides when to stop fitting.
"""
# ruff: noqa: E402  (threads are limited before numpy starts them)

from __future__ import annotations

import copy
import json
import os
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
HIDDEN = (96, 48)
NETWORKS = 5
EPOCHS = 16
LEARNING_RATE, PENALTY, BATCH, CHUNK = 1e-3, 1e-4, 256, 8192
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


def outcome(play: Play, option: Option, tail: Scorer | None) -> float:
    """Return the final score after an option on a copy, played on by ``tail``, or by the same strategy."""
    if option.strategy is None:
        return play.score()
    trial = copy.deepcopy(play)
    trial.step(option)
    while not trial.reply.done:
        trial.step(pace_of(trial, option.strategy, 1.0) if tail is None else tail.best(trial.history))
    return trial.score()


def states(seed: int, tail: Scorer | None) -> list[State]:
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
            scores = [outcome(play, option, tail) for option in options]
            found.append((play.history.features(options).astype(np.float32), np.array(scores)))
        if tail is not None and rng.random() < 0.7:
            option = tail.best(play.history)
            if option.strategy is None:
                option = pace_of(play, strategy, 1.0)
        else:
            if rng.random() > KEEP:
                strategy = str(rng.choice(play.history.strategies))
            option = pace_of(play, strategy, float(rng.choice(PACES)))
        play.step(option)
        if play.reply.done:
            break
    return found


def collect(seeds: range, tail: Scorer | None, processes: int, seconds: float = 0.0) -> list[State]:
    """Return the states of many episodes; of fewer where time runs out."""
    found: list[State] = []
    begin = time.perf_counter()
    with ProcessPoolExecutor(processes) as pool:
        waiting = pool.map(partial(states, tail=tail), seeds, chunksize=8)
        for count, episode in enumerate(waiting):
            found += episode
            if count % 200 == 199:
                click.echo(f"{count + 1} of {len(seeds)} problems, {time.perf_counter() - begin:.0f} s")
            if seconds and time.perf_counter() - begin > seconds:
                pool.shutdown(wait=True, cancel_futures=True)
                break
    return found


def keep(found: list[State], path: Path) -> None:
    """Write states to a file, in half precision."""
    np.savez_compressed(
        path,
        features=np.concatenate([features for features, _ in found]).astype(np.float16),
        scores=np.concatenate([scores for _, scores in found]).astype(np.float16),
        options=np.array([len(scores) for _, scores in found]),
    )


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


def fit(found: list[State], held_out: list[State], seed: int, before: Network | None) -> tuple[Network, list[float]]:
    """Return the network of the best epoch on held-out states, and its curve: the value of its choices by epoch."""
    rng = np.random.default_rng([seed, 32])
    X, y = centred(found)
    model = MLPRegressor(
        hidden_layer_sizes=HIDDEN, alpha=PENALTY, batch_size=BATCH, learning_rate_init=LEARNING_RATE, random_state=seed
    )
    model.partial_fit(X[:BATCH], y[:BATCH])
    if before is not None:
        model.coefs_ = [weight.astype(np.float32) for weight in before.weights]
        model.intercepts_ = [bias.astype(np.float32) for bias in before.biases]
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


@click.command(context_settings={"show_default": True})
@click.option("--problems", default=2_000, help="Training problems a round.")
@click.option("--seconds", default=0.0, help="Stop collecting for a round after so many seconds; 0 for no limit.")
@click.option("--rounds", default=2, help="Rounds of policy iteration.")
@click.option("--held-out", default=250, help="Problems of the validation split that choose the epoch.")
@click.option("--compare-on", default=200, help="Other problems of the validation split, for the comparison.")
@click.option("--processes", default=os.cpu_count() or 1, help="Worker processes.")
@click.option("--keep-states", is_flag=True, help="Write the states of each round too.")
@click.option("--out", default="general", type=click.Path(path_type=Path, file_okay=False), help="Folder for results.")
def main(
    *,
    problems: int,
    seconds: float,
    rounds: int,
    held_out: int,
    compare_on: int,
    processes: int,
    keep_states: bool,
    out: Path,
) -> None:
    """Train the network and write it to ``<out>/general.npz``, with ``<out>/general.json`` beside it."""
    out.mkdir(parents=True, exist_ok=True)
    tail: Scorer | None = None
    report: dict[str, Any] = {"rounds": []}
    validation = SPLITS["validation"].first_seed
    for number in range(rounds):
        begin = time.perf_counter()
        first = FIRST_SEED + number * problems
        found = collect(range(first, first + problems), tail, processes, seconds)
        unseen = collect(range(validation, validation + held_out), tail, processes, 0)
        collected = time.perf_counter()
        if keep_states:
            keep(found, out / f"states-{number}.npz")
        before = [None] * NETWORKS if tail is None else list(tail.networks)
        with ProcessPoolExecutor(min(processes, NETWORKS)) as pool:
            fitted = list(pool.map(partial(fit, found, unseen), range(NETWORKS), before))
        tail = Scorer(tuple(network for network, _ in fitted), PACES)
        tail.save(out / f"general-{number}.npz")
        report["rounds"].append(
            {
                "states": len(found),
                "curves": [[round(value, 4) for value in curve] for _, curve in fitted],
                "chosen": round(chosen(tail, unseen), 4),
                "best_possible": round(float(np.mean([scores.max() for _, scores in unseen])), 4),
                "seconds_collecting": round(collected - begin, 1),
                "seconds_fitting": round(time.perf_counter() - collected, 1),
            }
        )
        seeds = range(validation + held_out, validation + held_out + compare_on)
        report["rounds"][-1]["validation"] = compare(tail, seeds, processes)
        (out / "general.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        click.echo(json.dumps(report["rounds"][-1]["validation"]))
    assert tail is not None  # noqa: S101  (there is at least one round)
    tail.save(out / "general.npz")


if __name__ == "__main__":
    main()
