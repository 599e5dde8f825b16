"""Check of environments: whatever offers ``reset`` and ``step`` as DataSelectEnv does, in process or over a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final

from dataselect_env.core.actions import action_model
from dataselect_env.core.errors import EpisodeOver, InvalidInput, NoEpisode, UnknownTask
from dataselect_env.core.models import Action, Reply, RewardMode
from dataselect_env.core.problem import as_described
from dataselect_env.core.tasks import BUILT_IN, SEED_LIMIT, Task, get_task
from dataselect_env.testing.rules import Rule

_RESET = "dataselect_env.core.env.DataSelectEnv.reset"
_STEP = "dataselect_env.core.env.DataSelectEnv.step"
_REPLY = "dataselect_env.core.models.Reply"
_INFO = "dataselect_env.core.models.StepInfo"

RULES: Final = {
    "order": Rule("A step before the first reset raises NoEpisode, one after the end raises EpisodeOver.", _STEP),
    "runs": Rule("reset and step return a Reply to valid arguments.", _REPLY),
    "reset": Rule(
        "reset returns step 0 of the task and seed asked for, with the whole budget and no reward or info.", _RESET
    ),
    "drawn": Rule("Without a seed reset draws one and reports it: the same seed gives the same episode.", _RESET),
    "described": Rule(
        "The reply to a reset of open or of a custom task describes the problem, and no other reply does.",
        "dataselect_env.core.problem.Problem",
    ),
    "accounts": Rule(
        "Steps count up; budget and pool fall by batch_size, the sum of bought_by, within the task's bounds.", _INFO
    ),
    "terms": Rule("The reward is finite and the sum of the reward terms.", _INFO),
    "end": Rule(
        "An episode ends by stop, budget, pool or max_steps; the last reply alone has end_reason and grade.",
        _INFO,
    ),
    "grade mode": Rule(
        "Rewards of the mode grade add up to the grade; observations are those of the mode shaped.", _RESET
    ),
    "deterministic": Rule("The same task, seed, mode and actions give the same replies but for episode_id.", _RESET),
    "isolated": Rule("Environments do not change each other's episodes.", "dataselect_env.core.env.DataSelectEnv"),
    "refuses": Rule(
        "A wrong value raises an error with its code and the field.", "dataselect_env.core.errors.EnvError"
    ),
    "unchanged": Rule("After a wrong value or a refused reset the episode goes on as if it had not been sent.", _RESET),
}
"""The rules of :func:`check_env` by name."""

SEEDS: Final = (3, 20_001)
"""Seeds of the train and of the test split."""
TOLERANCE: Final = 1e-9
"""Largest difference of sums that should be equal."""

MakeEnv = Callable[[], Any]

INVALID: Final = InvalidInput.code
WRONG_RESETS: Final[tuple[tuple[dict[str, object], str, str], ...]] = (
    ({"task_id": "no-such-task"}, UnknownTask.code, "task_id"),
    ({"task_id": 1}, INVALID, "task_id"),
    ({"seed": -1}, INVALID, "seed"),
    ({"seed": SEED_LIMIT}, INVALID, "seed"),
    ({"seed": "7"}, INVALID, "seed"),
    ({"seed": True}, INVALID, "seed"),
    ({"seed": 1.5}, INVALID, "seed"),
    ({"reward_mode": "generous"}, INVALID, "reward_mode"),
)
"""Choices that a reset must refuse, with the code and the field of the error."""
WRONG_ACTIONS: Final[tuple[tuple[dict[str, object], str], ...]] = (
    ({"action_type": "buy"}, "action_type"),
    ({"batch_size": -1}, "batch_size"),
    ({"batch_size": "10"}, "batch_size"),
    ({"batch_size": True}, "batch_size"),
    ({"batch_size": 2.5}, "batch_size"),
    ({"strategy_weights": {"random": 0}}, "strategy_weights"),
    ({"strategy_weights": {"random": -1}}, "strategy_weights.random"),
    ({"strategy_weights": {"random": "1"}}, "strategy_weights.random"),
    ({"strategy_weights": {"no_such_strategy": 1}}, "strategy_weights.no_such_strategy"),
    ({"no_such_field": 1}, "no_such_field"),
)
"""Changes to a valid action that a step must refuse, with the field of the error."""
RIGHT_ACTION: Final = {"action_type": "select_batch", "batch_size": 10, "strategy_weights": {"random": 1}}


def check_env(make_env: MakeEnv, *, tasks: Iterable[str] = BUILT_IN) -> None:
    """Check that an environment keeps the contract of :class:`~dataselect_env.core.env.DataSelectEnv`.

    An environment has ``reset(task_id=..., seed=..., reward_mode=...)`` and ``step(action)``, which takes an Action or
    a mapping; both return a Reply. Errors have ``code`` and ``field`` as :class:`~dataselect_env.core.errors.EnvError`
    has them, but need not be of this class. A client with other replies needs an adapter of a few lines.

    Args:
        make_env: Returns a new environment at each call. At most two are in use at a time; one with a method ``close``
            is closed afterwards.
        tasks: Names of the tasks to play; this process must know them too.

    Raises:
        AssertionError: The environment breaks a rule; the message says which, and by which call.
        UnknownTask: There is no task of a name in ``tasks``.
    """
    for task in map(get_task, tasks):
        episode = f"An episode of {task.task_id}"
        with _made(make_env) as env:
            _check_order(env, task)
            shaped = _checked_episode(env, task, "shaped")
            again = _episode(env, task, SEEDS[0])
            _require_same(RULES["deterministic"], again, shaped, f"{episode}, played again,")
            _check_modes(shaped, _checked_episode(env, task, "grade"), task)
            _check_drawn_seed(env, task)
            disturbed = _with_wrong_values(env, task)
            _require_same(RULES["unchanged"], disturbed, shaped, f"{episode} with wrong values in between")
        with _made(make_env) as one, _made(make_env) as other:
            beside = _beside(one, other, task)
            _require_same(RULES["isolated"], beside, shaped, f"{episode} beside one of another environment")


@contextmanager
def _made(make_env: MakeEnv) -> Iterator[Any]:
    """Yield a new environment, and close it if it can be closed."""
    with ExitStack() as stack:
        env = make_env()
        if hasattr(env, "close"):
            stack.callback(env.close)
        yield env


# --- playing --------------------------------------------------------------------------------------------------------


def _script(task: Task) -> list[Action]:
    """Return actions with every base strategy, an extra one, and sizes beyond the bounds, that end every episode."""
    sizes = (0, task.min_batch + 2, 13, 1)
    mixes = ({"uncertainty": 1.0, "random": 0.5}, {"diversity": 2.0}, {"random": 1e-3}, {"uncertainty": 1.0})
    few = [Action.select(size, **mix) for size, mix in zip(sizes, mixes, strict=True)]
    extra = task.extra_strategies[:1]
    more = [action_model(extra).select(task.min_batch, **{name: 1.0}) for name in extra]
    return [*more, *few, Action.select(10 * task.budget, diversity=1.0, random=1.0), Action.stop()]


def _reset(env: Any, task: Task, seed: int | None, mode: RewardMode = "shaped") -> Reply:
    what = f"reset(task_id={task.task_id!r}, seed={seed}, reward_mode={mode!r})"
    reply = _reply(lambda: env.reset(task_id=task.task_id, seed=seed, reward_mode=mode), what)
    described = (reply.problem is not None) == task.described
    RULES["described"].require(described, f"{what} returned the problem {reply.problem}")
    return reply


def _step(env: Any, action: Action) -> Reply:
    return _reply(lambda: env.step(action), f"step({action})")


def _reply(call: Callable[[], object], what: str) -> Reply:
    """Return the reply of a call that must not fail."""
    found = RULES["runs"].call(call, what)
    if not isinstance(found, Reply):
        RULES["runs"].broken(f"{what} returned {type(found).__name__}")
    return found


def _episode(env: Any, task: Task, seed: int, mode: RewardMode = "shaped") -> Iterator[Reply]:
    """Play the script and yield the replies."""
    reply = _reset(env, task, seed, mode)
    yield reply
    for action in _script(task):
        if reply.done:
            return
        reply = _step(env, action)
        yield reply


def _plain(reply: Reply) -> dict[str, Any]:
    """Return a reply without the name of its episode."""
    return reply.model_dump(exclude={"episode_id": True, "metadata": {"episode_id"}})


def _require_same(rule: Rule, found: Iterable[Reply], expected: list[Reply], what: str) -> None:
    """Require that replies are equal one by one; ``done`` among them, so that there are as many."""
    for reply, wanted in zip(found, expected, strict=False):
        here, there = _plain(reply), _plain(wanted)
        differing = [name for name in here if here[name] != there[name]]
        rule.require(not differing, f"{what} differs at step {wanted.step} in {', '.join(differing)}")


# --- the rules ------------------------------------------------------------------------------------------------------


def _refused(rule: Rule, call: Callable[[], object], code: str, field: str | None, what: str) -> None:
    """Require that a call raises an error with this code, and on this field unless it is None."""
    wanted = code if field is None else f"{code} on {field}"
    try:
        call()
    except Exception as error:
        named = field is None or getattr(error, "field", None) == field
        if getattr(error, "code", None) != code or not named:
            rule.raised(f"{what}, which should be refused with {wanted},", error)
    else:
        rule.broken(f"{what} was accepted; it should be refused with {wanted}")


def _check_order(env: Any, task: Task) -> None:
    """Check steps before the first reset and after the end, and an end by stop."""
    what = "A step before the first reset"
    _refused(RULES["order"], lambda: env.step(Action.stop()), NoEpisode.code, None, what)
    first = _reset(env, task, SEEDS[0])
    known = as_described(task, first.problem)
    _check_first(first, known, SEEDS[0])
    _check_step(first, Action.stop(), _step(env, Action.stop()), known)
    for _ in range(2):
        what = "A step after the end"
        _refused(RULES["order"], lambda: env.step(Action.stop()), EpisodeOver.code, None, what)


def _checked_episode(env: Any, task: Task, mode: RewardMode) -> list[Reply]:
    """Return the replies of an episode, each checked."""
    replies: list[Reply] = []
    for reply in _episode(env, task, SEEDS[0], mode):
        known = as_described(task, (replies or [reply])[0].problem)
        if replies:
            _check_step(replies[-1], _script(task)[len(replies) - 1], reply, known)
        else:
            _check_first(reply, known, SEEDS[0])
        replies.append(reply)
    RULES["end"].require(
        replies[-1].done, f"An episode of {task.task_id} goes on after {replies[-1].step} steps and a stop"
    )
    return replies


def _check_first(reply: Reply, task: Task, seed: int) -> None:
    found = (reply.step, reply.reward, reply.done, reply.info, reply.task_id, reply.seed)
    RULES["reset"].require(
        found == (0, None, False, None, task.task_id, seed),
        f"reset to {task.task_id}, seed {seed}, returned (step, reward, done, info, task_id, seed) {found}",
    )
    bounds = (reply.observation.remaining_budget, reply.observation.samples_available)
    RULES["reset"].require(
        bounds == (task.budget, task.pool_size), f"reset to {task.task_id} returned (budget, pool) {bounds}"
    )


def _check_step(before: Reply, action: Action, reply: Reply, task: Task) -> None:
    """Check what a reply says about a step against the reply before it."""
    what = f"step {before.step + 1} of {task.task_id}, {action.action_type} {action.batch_size},"
    RULES["described"].require(reply.problem is None, f"{what} has a problem")
    info, old, new = reply.info, before.observation, reply.observation
    if info is None or reply.reward is None:
        RULES["terms"].broken(f"{what} has no info or no reward")
    RULES["accounts"].require(
        (reply.episode_id, reply.step) == (before.episode_id, before.step + 1),
        f"{what} is step {reply.step} of {reply.episode_id!r}, after step {before.step} of {before.episode_id!r}",
    )
    left = min(old.remaining_budget, old.samples_available)
    wanted = min(max(action.batch_size, task.min_batch), left, task.max_batch or left)
    counts = (
        info.batch_size,
        sum(info.bought_by.values()),
        old.remaining_budget - new.remaining_budget,
        old.samples_available - new.samples_available,
    )
    wanted = 0 if action.action_type == "stop" else wanted
    RULES["accounts"].require(
        set(counts) == {wanted}, f"{what} has (batch_size, bought_by, budget, pool) {counts}; it should buy {wanted}"
    )
    total = math.fsum(info.reward_terms.values())
    right = math.isfinite(reply.reward) and abs(total - reply.reward) <= TOLERANCE
    RULES["terms"].require(right, f"{what} has the reward {reply.reward}, and terms that add up to {total}")
    reason = _end_reason(action, reply, task)
    found = (reply.done, info.end_reason, info.grade is not None)
    RULES["end"].require(
        found == (reason is not None, reason, reason is not None), f"{what} has (done, end_reason, graded) {found}"
    )


def _end_reason(action: Action, reply: Reply, task: Task) -> str | None:
    """Return why the episode is over after an action, None when it goes on."""
    if action.action_type == "stop":
        return "stop"
    if reply.observation.remaining_budget == 0:
        return "budget"
    if reply.observation.samples_available == 0:
        return "pool"
    return "max_steps" if reply.step == task.max_steps else None


def _check_modes(shaped: list[Reply], graded: list[Reply], task: Task) -> None:
    """Check that the reward modes differ in rewards alone, and that those of ``grade`` add up."""
    without: Any = {"reward": True, "info": {"reward_terms"}, "metadata": True, "episode_id": True}
    for one, other in zip(shaped, graded, strict=False):
        same = one.model_dump(exclude=without) == other.model_dump(exclude=without)
        RULES["grade mode"].require(same, f"step {one.step} of {task.task_id} differs between the modes")
    total = math.fsum(reply.reward or 0.0 for reply in graded)
    info = graded[-1].info
    score = info.grade.score if info is not None and info.grade is not None else math.nan
    RULES["grade mode"].require(
        abs(total - score) <= TOLERANCE, f"rewards of {task.task_id} add up to {total}, the grade is {score}"
    )


def _check_drawn_seed(env: Any, task: Task) -> None:
    first = _reset(env, task, None)
    is_seed = first.seed is not None and 0 <= first.seed < SEED_LIMIT
    RULES["drawn"].require(is_seed, f"reset without a seed reported the seed {first.seed}")
    again = _reset(env, task, first.seed)
    _require_same(RULES["drawn"], [again], [first], f"reset with the seed {first.seed} that was drawn")
    RULES["reset"].require(again.episode_id != first.episode_id, "two episodes have the same episode_id")


def _with_wrong_values(env: Any, task: Task) -> Iterator[Reply]:
    """Play an episode, send wrong values before each step, and yield the replies."""
    for reply in _episode(env, task, SEEDS[0]):
        yield reply
        if reply.done:
            return
        for choices, code, field in WRONG_RESETS:
            refusal = partial(env.reset, **{"task_id": task.task_id, "seed": SEEDS[1], **choices})
            _refused(RULES["refuses"], refusal, code, field, f"reset with {choices}")
        for changes, field in WRONG_ACTIONS:
            refusal = partial(env.step, {**RIGHT_ACTION, **changes})
            _refused(RULES["refuses"], refusal, INVALID, field, f"a step with {changes}")


def _beside(one: Any, other: Any, task: Task) -> Iterator[Reply]:
    """Play an episode in each of two environments in turn, and yield the replies of the first."""
    beside = _episode(other, task, SEEDS[1])
    for reply in _episode(one, task, SEEDS[0]):
        yield reply
        next(beside, None)
