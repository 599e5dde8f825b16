"""Inspect AI: the environment as an evaluation. A sample is an episode, and its score is the grade.

    inspect eval dataselect_env/data_selection --model openai/gpt-4o-mini -T task_ids=hard -T episodes=50

The model answers in text, without tools. Samples are seeds of the test split, the same for every model, so that two
logs can be compared sample by sample.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import Score, Scorer, Target, grouped, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.tasks import TASKS, get_split
from dataselect_env.integrations.dialogue import Dialogue
from dataselect_env.integrations.rows import opening

DEFAULT_EPISODES = 20
GRADE, MISTAKES = "grade", "mistakes"
"""Keys of the grade and of the number of invalid answers in the sample's store."""


@task
def data_selection(
    task_ids: str | Sequence[str] = tuple(TASKS), episodes: int = DEFAULT_EPISODES, split: str = "test"
) -> Task:
    """Return the evaluation.

    Args:
        task_ids: Name of a task, or names of several.
        episodes: Episodes per task.
        split: Split whose first seeds are played.

    Raises:
        EnvError: A task or the split does not exist, or the split has fewer seeds.
    """
    names = [task_ids] if isinstance(task_ids, str) else list(task_ids)
    chosen = get_split(split)
    if not 1 <= episodes <= chosen.seeds:
        raise InvalidInput(f"episodes: split {split} has 1 to {chosen.seeds}", field="episodes")
    seeds = range(chosen.first_seed, chosen.first_seed + episodes)
    samples = [_sample(task_id, seed) for task_id in names for seed in seeds]
    return Task(dataset=MemoryDataset(samples, name="dataselect"), solver=play(), scorer=episode_grade())


def _sample(task_id: str, seed: int) -> Sample:
    system, user = opening(task_id)
    return Sample(
        id=f"{task_id}-{seed}",
        input=[ChatMessageSystem(content=system["content"]), ChatMessageUser(content=user["content"])],
        metadata={"task_id": task_id, "seed": seed},
    )


@solver
def play() -> Solver:
    """Return the solver: the model plays one episode, with a message about the outcome after each answer."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        dialogue = Dialogue(state.metadata["task_id"], state.metadata["seed"])
        text = dialogue.observation
        while dialogue.grade is None:
            state.messages.append(ChatMessageUser(content=text))
            state = await generate(state, tool_calls="none")
            text = dialogue.answer(state.output.completion).text
        state.store.set(GRADE, dialogue.grade.model_dump())
        state.store.set(MISTAKES, dialogue.mistakes)
        return state

    return solve


@scorer(metrics=[grouped(mean(), "task_id"), stderr()])
def episode_grade() -> Scorer:
    """Return the scorer: the score of the grade, in [0, 1]; 0 for an unfinished episode."""

    async def score(state: TaskState, _target: Target) -> Score:
        grade = state.store.get(GRADE)
        if grade is None:
            return Score(value=0.0, explanation="The episode did not end.")
        return Score(value=grade["score"], metadata={**grade, MISTAKES: state.store.get(MISTAKES)})

    return score
