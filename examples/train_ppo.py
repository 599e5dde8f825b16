"""Train an agent with Stable-Baselines3's PPO, export it as plain arrays, and compare it on held-out seeds.

    pip install "dataselect-env[train]"
    python examples/train_ppo.py --task medium
    python examples/train_ppo.py --task-file tasks.yaml --task mine --task another   # one network for both

It trains on seeds of the train split, selects the best network on seeds of the validation split, and compares it on
seeds of the test split. ``policies.learned`` plays ``<out>/<task>-<seed>.npz``; ``<out>/<task>-<seed>.json`` holds the
learning curve and the comparison. It takes about a minute of processor time, and keeps the data sets in memory, 1.1 GB.

Three choices matter. The agent picks from a menu of whole actions, strategy and size together. The good strategy is a
small batch by uncertainty and then, if it was clean, a big one; a Gaussian over the raw action vector explores strategy
and size separately and settles on diversity before it finds that. The entropy bonus starts high and decays. The
discount is 1, because the rewards of the mode ``grade`` add up to the grade.
"""
# ruff: noqa: E402  (threads are limited before numpy and torch start them)

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # the arrays are small

import click
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from dataselect_env.core.tasks import DYNAMICS_VERSION, PINNED, SPLITS, TASKS, get_task
from dataselect_env.custom.task_file import TaskFileError, load_tasks
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.evaluation.statistics import difference, mean_interval, strata_of
from dataselect_env.gym.sb3 import DataSelectVecEnv
from dataselect_env.gym.spaces import menu
from dataselect_env.gym.vector import DataSelectVectorEnv
from dataselect_env.policies import get_policy
from dataselect_env.policies.learned import Actor, load_actor, start_actor
from dataselect_env.policies.policy import AnyPolicy, Policy

STEPS = 150_000
ENVIRONMENTS = 32
"""With more, a rollout has fewer steps of each and cuts more episodes off, and training is hardly faster."""
STEPS_A_ROLLOUT = 64
"""Per environment; an update sees about 350 episodes."""
HIDDEN = [64, 64]
FIRST_ENTROPY, LAST_ENTROPY = 0.2, 0.01
"""Weight of the entropy bonus, for advantages of unit variance; decays linearly with the steps."""
LEARNING_RATE, LAST_SHARE = 1e-3, 0.1
"""The learning rate decays linearly to this share."""

EVALUATIONS = 25
VALIDATION_SEEDS = range(SPLITS["validation"].first_seed, SPLITS["validation"].first_seed + 100)
TEST_SEEDS = range(SPLITS["test"].first_seed, SPLITS["test"].first_seed + 50)
REFERENCES = ("best-constant", "probing")
"""``best-constant`` is the best action that never changes; ``probing`` is a rule whose author knew the worlds."""


def choices_of(task_ids: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of the environments: features as observations, the index of a menu entry as action."""
    return {"actions": "discrete", "reward_mode": "grade", "keep_datasets": set(task_ids) <= set(PINNED)}


def make_model(task_ids: Sequence[str], seed: int) -> PPO:
    """Return an untrained agent for these tasks, each played by as many environments; training depends on the seed."""
    number = max(ENVIRONMENTS, len(task_ids))
    lanes = DataSelectVecEnv(task_ids, number, infos="flat", **choices_of(task_ids))
    venv = VecNormalize(VecMonitor(lanes), norm_obs=False, gamma=1.0)
    model = PPO(
        "MlpPolicy",
        venv,
        n_steps=STEPS_A_ROLLOUT,
        batch_size=512,
        gamma=1.0,
        learning_rate=lambda left: LEARNING_RATE * (LAST_SHARE + (1 - LAST_SHARE) * left),
        ent_coef=FIRST_ENTROPY,
        policy_kwargs={"net_arch": HIDDEN},
        seed=seed,
        device="cpu",
    )
    venv.seed(number * seed)  # PPO gives environment i the seed ``seed + i``, which other runs would share
    return model


def export(model: PPO, task_id: str) -> Actor:
    """Return the policy network as plain arrays."""
    policy: Any = model.policy
    layers = [layer for layer in policy.mlp_extractor.policy_net if isinstance(layer, torch.nn.Linear)]
    layers.append(policy.action_net)
    return Actor(
        weights=tuple(layer.weight.detach().numpy().astype(np.float64) for layer in layers),
        biases=tuple(layer.bias.detach().numpy().astype(np.float64) for layer in layers),
        menu=menu(get_task(task_id).extra_strategies),
    )


def check_export(model: PPO, actor: Actor) -> float:
    """Return the largest difference between torch's log-probabilities and the actor's, over random features.

    Raises:
        RuntimeError: It exceeds 1e-5.
    """
    vectors = np.random.default_rng(0).uniform(-1, 1, (1000, actor.weights[0].shape[1]))
    policy: Any = model.policy
    with torch.no_grad():
        theirs = policy.get_distribution(torch.tensor(vectors, dtype=torch.float32)).distribution.logits.numpy()
    scores = np.array([actor.scores(vector) for vector in vectors])
    ours = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    gap = float(np.abs(ours - theirs).max())
    if gap > 1e-5:
        raise RuntimeError(f"the exported network is not the trained one: log-probabilities differ by {gap:.1e}")
    return gap


def grades(policy: AnyPolicy, task_id: str, seeds: range) -> list[float]:
    """Return the grade of one episode for each seed."""
    return [rollout(policy, task_id, seed).grade.score for seed in seeds]


def validate(model: PPO, envs: DataSelectVectorEnv, seeds: range) -> float:
    """Return the mean grade of the agent's best actions, of one episode for each seed, all played together."""
    observations, _ = envs.reset(seed=list(seeds))
    returns, running = np.zeros(len(seeds)), np.ones(len(seeds), dtype=np.bool_)
    while running.any():
        actions, _ = model.predict(observations, deterministic=True)
        observations, rewards, ended, _, _ = envs.step(actions)
        returns[running] += rewards[running]  # they add up to the grade
        running &= ~ended
    return fmean(returns.tolist())


def as_policy(actor: Actor) -> Policy:
    """Return the policy that plays an actor's best choices."""
    return Policy("ppo", "The network that was just trained.", lambda task, _rng: start_actor(actor, task))


def train(
    task_ids: Sequence[str], seed: int, steps: int, report: Callable[[int, float], None]
) -> tuple[PPO, list[dict[str, Any]]]:
    """Train, and return the agent with the weights that did best on the validation seeds, and the learning curve.

    Args:
        task_ids: Tasks to learn; all offer the same strategies.
        seed: Seed of the networks and of the episodes that are drawn.
        steps: Steps in all environments together.
        report: Called after each evaluation with the steps so far and the mean grade on the validation seeds.
    """
    model = make_model(task_ids, seed)
    seeds = VALIDATION_SEEDS[: -(-len(VALIDATION_SEEDS) // len(task_ids))]
    validation = [
        DataSelectVectorEnv(len(seeds), task_id, split="validation", infos="flat", **choices_of(task_ids))
        for task_id in task_ids
    ]
    curve: list[dict[str, Any]] = []
    best: dict[str, Any] = {}
    started, cpu_started = time.perf_counter(), time.process_time()

    def evaluate(_local: dict[str, Any], _global: dict[str, Any]) -> bool:
        model.ent_coef = FIRST_ENTROPY + (LAST_ENTROPY - FIRST_ENTROPY) * min(1.0, model.num_timesteps / steps)
        if model.num_timesteps >= len(curve) * steps / EVALUATIONS:
            score = fmean(validate(model, envs, seeds) for envs in validation)
            if score > max((point["validation"] for point in curve), default=-1.0):
                best.update({name: array.clone() for name, array in model.policy.state_dict().items()})
            recent = [episode["r"] for episode in model.ep_info_buffer or ()]
            curve.append(
                {
                    "steps": model.num_timesteps,
                    "validation": score,
                    "training": fmean(recent) if recent else None,
                    "wall_s": round(time.perf_counter() - started, 1),
                    "cpu_s": round(time.process_time() - cpu_started, 1),
                }
            )
            report(model.num_timesteps, score)
        return True

    model.learn(steps, callback=evaluate)
    model.policy.load_state_dict(best)
    return model, curve


def compare(actor: Actor, task_id: str) -> dict[str, Any]:
    """Return mean grades on the test seeds, and differences to the references by seed, with 95 % intervals."""
    ours, worlds = grades(as_policy(actor), task_id, TEST_SEEDS), strata_of(get_task(task_id), TEST_SEEDS)
    result: dict[str, Any] = {"seeds": [TEST_SEEDS[0], TEST_SEEDS[-1]], "ppo": mean_interval(ours, worlds).model_dump()}
    for name in REFERENCES if get_task(task_id).pinned else REFERENCES[1:]:
        theirs = grades(get_policy(name), task_id, TEST_SEEDS)
        result[name] = mean_interval(theirs, worlds).model_dump()
        result[f"ppo - {name}"] = difference(ours, theirs, worlds).model_dump()
    return result


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option(
    "--task",
    "task_ids",
    multiple=True,
    default=("medium",),
    show_default=True,
    help="Task to train on; may be repeated.",
)
@click.option("--task-file", type=click.Path(path_type=Path), help="Task file with your own tasks.")
@click.option(
    "--seed", type=click.IntRange(0, 999), default=1, show_default=True, help="Seed of networks and episodes."
)
@click.option("--steps", default=STEPS, show_default=True, help="Training steps.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/ppo"), show_default=True)
def main(task_ids: tuple[str, ...], task_file: Path | None, seed: int, steps: int, out: Path) -> None:
    """Train, export, compare, and write the results."""
    if task_file is not None:
        try:
            load_tasks(task_file)
        except TaskFileError as error:
            raise click.ClickException(str(error)) from error
    if not set(task_ids) <= TASKS.keys():
        raise click.BadParameter(f"choose among {', '.join(TASKS)}", param_hint="--task")
    if len({get_task(task_id).extra_strategies for task_id in task_ids}) > 1:
        raise click.BadParameter("the tasks should offer the same strategies", param_hint="--task")
    name = "+".join(task_ids)
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    with click.progressbar(length=steps, label=f"PPO on {name}", item_show_func=str) as bar:
        model, curve = train(task_ids, seed, steps, lambda at, score: bar.update(at - bar.pos, f"{score:.3f}"))
    target = out / f"{name}-{seed}.npz"
    exported = export(model, task_ids[0])
    gap = check_export(model, exported)
    exported.save(target)
    result = {
        "task": name,
        "seed": seed,
        "dynamics_version": DYNAMICS_VERSION,
        "steps": steps,
        "wall_s": curve[-1]["wall_s"],
        "cpu_s": curve[-1]["cpu_s"],
        "export_gap": gap,
        "held_out": {task_id: compare(load_actor(target), task_id) for task_id in task_ids},
        "curve": curve,
    }
    target.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for task_id, rows in result["held_out"].items():
        click.echo(task_id)
        for title, row in rows.items():
            if title != "seeds":
                click.echo(f"{title:>24}  {row['mean']:+.3f}  [{row['low']:+.3f}, {row['high']:+.3f}]")


if __name__ == "__main__":
    main()
