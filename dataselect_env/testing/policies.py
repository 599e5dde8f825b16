"""Check of policies: episodes of each task, played twice, one beside another, and without ground truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from dataselect_env.core.actions import action_model
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.problem import as_described
from dataselect_env.core.tasks import PINNED, TASKS, Task, get_task
from dataselect_env.core.validation import parse
from dataselect_env.evaluation.rollout import play, policy_rng
from dataselect_env.policies import AnyPolicy, Policy, get_policy
from dataselect_env.testing.rules import ResultT, Rule, described, global_generators, offered

_POLICY = "dataselect_env.policies.policy.Policy"
_ENV = "dataselect_env.core.env.DataSelectEnv.step"

RULES: Final = {
    "plays": Rule("A policy plays every episode of its tasks to the end.", _POLICY),
    "valid": Rule("A policy answers each reply with an Action that its task allows.", _ENV),
    "read-only": Rule("A policy does not change the replies that it receives.", _POLICY),
    "generators": Rule("All randomness of a policy comes from the generator that start receives.", _POLICY),
    "repeatable": Rule("The same task, seed and random stream give the same actions.", _POLICY),
    "apart": Rule("An episode of a policy does not depend on the other episodes that it plays.", _POLICY),
    "no truth": Rule("A policy plays tasks without ground truth, or its start raises InvalidInput.", _POLICY),
}
"""The rules of :func:`check_policy` by name."""

SEEDS: Final = (0, 1)
"""Seeds of the train split."""
NO_TRUTH: Final = "check-no-ground-truth"
"""Name of the task without ground truth while it is offered."""


def check_policy(policy: AnyPolicy | str, *, tasks: Iterable[str] = PINNED) -> None:
    """Check that a policy keeps its contract.

    It plays in process: of each task one episode twice, and once more with every step followed by a step of another
    episode; then an episode of a task without ground truth, where ``info.mislabelled`` and ``info.noise_ratio`` are
    None. An oracle does not play that one.

    Args:
        policy: The policy, or a name that ``get_policy`` takes, as ``my_module:my_policy``.
        tasks: Names of the tasks that it must play. In half of the episodes of ``open`` nobody reports wrong labels.

    Raises:
        AssertionError: The policy breaks a rule; the message says which, and in which episode.
        InvalidInput: There is no policy of this name.
        UnknownTask: There is no task of a name in ``tasks``.
    """
    if isinstance(policy, str):
        policy = get_policy(policy)
    for task_id in tasks:
        task = get_task(task_id)
        first = list(_episode(policy, task, SEEDS[0]))
        again = list(_episode(policy, task, SEEDS[0]))
        what = f"{policy.name} on {task_id}, seed {SEEDS[0]}"
        RULES["repeatable"].require(again == first, f"{what}, played otherwise the second time")
        beside = list(_first_of_two(_episode(policy, task, SEEDS[0]), _episode(policy, task, SEEDS[1])))
        RULES["apart"].require(beside == first, f"{what}, played otherwise beside an episode of seed {SEEDS[1]}")
    if isinstance(policy, Policy):
        _check_no_truth(policy)


def _check_no_truth(policy: Policy) -> None:
    """Play a task without ground truth, unless the policy refuses it."""
    task = dataclasses.replace(TASKS["easy"], task_id=NO_TRUTH, has_ground_truth=False)
    with offered(task):
        try:
            policy.start(task, policy_rng(policy.name, SEEDS[0]))
        except InvalidInput:
            return
        except Exception:  # noqa: S110  (the episode below raises it again, and reports it)
            pass
        list(_steps(policy, task, SEEDS[0], RULES["no truth"]))


def _first_of_two(one: Iterator[str], other: Iterator[str]) -> Iterator[str]:
    """Yield what ``one`` yields, and advance ``other`` after each of its items."""
    for item in one:
        next(other, None)
        yield item


def _episode(policy: AnyPolicy, task: Task, seed: int) -> Iterator[str]:
    """Play an episode and yield its steps as text: the actions of a policy, the replies to an oracle."""
    if isinstance(policy, Policy):
        yield from _steps(policy, task, seed, RULES["plays"])
        return
    what = f"{policy.name} on {task.task_id}, seed {seed},"
    replies = play(policy, task.task_id, seed)
    while reply := _called(lambda: next(replies, None), RULES["plays"], what):
        yield reply.model_dump_json(exclude={"episode_id": True, "metadata": {"episode_id"}})


def _steps(policy: Policy, task: Task, seed: int, plays: Rule) -> Iterator[str]:
    """Play an episode and yield its actions as text; ``plays`` is broken by an exception of the policy."""
    what = f"{policy.name} on {task.task_id}, seed {seed},"
    env, rng = DataSelectEnv(), policy_rng(policy.name, seed)
    reply = env.reset(task_id=task.task_id, seed=seed)
    known = as_described(task, reply.problem)
    act = _called(lambda: policy.start(known, rng), plays, what)
    while not reply.done:
        received = reply.model_dump_json()
        action: object = _called(partial(act, reply), plays, f"{what} at the reply to step {reply.step}")
        RULES["read-only"].require(
            reply.model_dump_json() == received, f"{what} changed the reply to step {reply.step}"
        )
        reply = _played(env, task, action, f"{what} answered the reply to step {reply.step} with")
        yield str(action)


def _called(function: Callable[[], ResultT], plays: Rule, what: str) -> ResultT:
    """Return what a call of the policy returns."""
    with global_generators(RULES["generators"], what):
        return plays.call(function, what)


def _played(env: DataSelectEnv, task: Task, action: object, what: str) -> Reply:
    """Return the reply to an action, which must be valid: also one that was made without validation."""
    if not isinstance(action, Action):
        RULES["valid"].broken(f"{what} {type(action).__name__}")
    try:
        parse(action_model(task.extra_strategies), action.model_dump(warnings=False))
        return env.step(action)
    except Exception as error:
        RULES["valid"].broken(f"{what} {action!r} ({described(error)})", error)
