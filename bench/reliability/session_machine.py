"""A state machine over sessions: operations and mistakes in any order, compared with a model of a few lines."""
# ruff: noqa: S101  (a state machine reports failures by assertions)

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dataselect_env import DataSelectEnv
from dataselect_env.core.errors import EnvError, EpisodeExists, EpisodeOver, InvalidInput, NoEpisode, UnknownTask
from dataselect_env.core.models import Action, Operation
from dataselect_env.core.tasks import TASKS
from dataselect_env.core.validation import parse
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.sessions import open_session, resume_session

WEIGHTS = st.fixed_dictionaries(
    {"random": st.floats(0.01, 1e6)}, optional={name: st.floats(0, 1e6) for name in ("uncertainty", "diversity")}
)
SELECTIONS = st.fixed_dictionaries(
    {"action_type": st.just("select_batch"), "batch_size": st.integers(0, 10**20), "strategy_weights": WEIGHTS}
)
SMALL_SELECTIONS = st.builds(lambda action, size: {**action, "batch_size": size}, SELECTIONS, st.integers(0, 30))
STOP = {"action_type": "stop", "batch_size": 0, "strategy_weights": {"random": 1.0}}
BAD_DATA = st.one_of(
    st.integers() | st.text() | st.lists(st.none()) | st.booleans(),
    st.dictionaries(st.text().filter(lambda name: name not in ("action", *Action.model_fields)), st.none(), min_size=1),
    st.just({**STOP, "batch_size": -1}),
    st.just({**STOP, "batch_size": "0"}),
    st.just({**STOP, "strategy_weights": {"random": 0.0}}),
    st.just({**STOP, "strategy_weights": {"random": float("nan")}}),
)


class SessionMachine(RuleBasedStateMachine):
    """A session, and the expected replies from an environment that plays the accepted requests."""

    @initialize()
    def connect(self) -> None:
        """Start with a new session."""
        self.runner = asyncio.Runner()
        self.store = SQLiteStore(None)
        self.session = open_session(self.store, "http")
        self.model: DataSelectEnv | None = None
        self.last: dict[str, Any] = {}
        self.started: list[str] = []

    def teardown(self) -> None:
        """Release the store."""
        asyncio.run(self.store.close())
        self.runner.close()

    def ask(self, operation: Operation, data: object) -> dict[str, Any]:
        """Return a session's reply as a client receives it."""
        reply: dict[str, Any] = json.loads(self.runner.run(self.session.handle(operation, data)).model_dump_json())
        return reply

    def refused(self, kind: type[EnvError], operation: Operation, data: object) -> None:
        """Run an operation that must be refused."""
        try:
            reply = self.ask(operation, data)
        except kind:
            return
        raise AssertionError(f"{operation} {data!r} was answered by {reply}")

    @rule(
        task_id=st.sampled_from(tuple(TASKS)), seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(("shaped", "grade"))
    )
    def reset(self, task_id: str, seed: int, mode: str) -> None:
        """Start another episode, in any state of the previous one."""
        name = f"episode-{len(self.started)}"
        choices = {"task_id": task_id, "seed": seed, "reward_mode": mode, "episode_id": name}
        self.last = self.ask("reset", choices)
        self.started.append(name)
        self.model = DataSelectEnv()
        assert self.last == json.loads(self.model.reset(**choices).model_dump_json())  # type: ignore[arg-type]

    @rule(action=st.one_of(SMALL_SELECTIONS, SMALL_SELECTIONS, SELECTIONS, st.just(STOP)), wrapped=st.booleans())
    def step(self, action: dict[str, Any], wrapped: bool) -> None:
        """Play an action; it is refused before the first reset and after the end."""
        data = {"action": action} if wrapped else action
        if self.model is None:
            self.refused(NoEpisode, "step", data)
        elif self.last["done"]:
            self.refused(EpisodeOver, "step", data)
        else:
            self.last = self.ask("step", data)
            assert self.last == json.loads(self.model.step(parse(Action, action)).model_dump_json())

    @precondition(lambda self: self.model is not None)
    @rule(data=BAD_DATA)
    def step_badly(self, data: object) -> None:
        """Send an invalid action."""
        self.refused(InvalidInput, "step", data)

    @rule(data=BAD_DATA)
    def reset_badly(self, data: object) -> None:
        """Send an invalid reset."""
        self.refused(InvalidInput, "reset", data)

    @rule()
    def reset_to_nothing(self) -> None:
        """Ask for a task that does not exist."""
        self.refused(UnknownTask, "reset", {"task_id": "impossible"})

    @precondition(lambda self: self.started)
    @rule()
    def reset_to_the_same(self) -> None:
        """Ask for an episode id that is in use."""
        self.refused(EpisodeExists, "reset", {"episode_id": self.started[0]})

    @precondition(lambda self: self.started)
    @rule()
    def resume(self) -> None:
        """Continue in another session, rebuilt from the store, like another process."""
        self.session = resume_session(self.store, asyncio.run(self.store.load(self.started[-1])))

    @invariant()
    def state_is_the_model_s(self) -> None:
        """Check the state and the store after every operation."""
        if self.model is None:
            self.refused(NoEpisode, "state", None)
            return
        state = self.ask("state", None)
        assert state == json.loads(self.model.state.model_dump_json())
        stored = asyncio.run(self.store.load(self.started[-1]))
        assert len(stored.steps) == state["step_count"]
        assert (stored.grade is not None) == state["done"]
