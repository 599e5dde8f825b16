"""Wire types: requests and replies, the same on every transport.

All are frozen, refuse unknown fields, and admit finite numbers only. They take numbers of any numeric type, numpy's
too, but neither texts nor booleans for numbers (``"10"``, ``true``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.numbers import Integer, Weight
from dataselect_env.core.tasks import DEFAULT_TASK, MIN_BATCH, SEED_LIMIT, SPLITS, TASKS

RewardMode = Literal["shaped", "grade"]
DEFAULT_REWARD_MODE: RewardMode = "shaped"
Operation = Literal["reset", "step", "state"]
EndReason = Literal["stop", "budget", "max_steps", "pool"]
MessageType = Literal["reset", "step", "state", "mcp", "close"]
StrategyName = Literal["uncertainty", "diversity", "random"]

EPISODE_ID_LENGTH = 255


def _printable(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("printable", "Input should have printable characters only")
    return text


EpisodeId = Annotated[
    str,
    Field(min_length=1, max_length=EPISODE_ID_LENGTH, examples=["my-episode-1"]),
    AfterValidator(_printable),
]


def _named_tasks(schema: dict[str, Any]) -> None:
    schema["enum"] = list(TASKS)  # those of the moment: there may be tasks of a user's own


# Schemas name what there is; another name is refused by the lookup, which has an error of its own for it.
TaskName = Annotated[str, Field(max_length=64, json_schema_extra=_named_tasks)]
SplitName = Annotated[str, Field(max_length=64, json_schema_extra={"enum": list(SPLITS)})]
SpecIndex = Annotated[Integer, Field(json_schema_extra={"minimum": 0})]


class WireModel(BaseModel):
    """Base of all wire types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


# --- in -------------------------------------------------------------------------------------------------------------


class StrategyWeights(WireModel):
    """How to mix the query strategies. Only the ratios matter; at least one weight must be positive."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    uncertainty: Weight = Field(0.0, description="Weight of uncertainty sampling (highest predictive entropy).")
    diversity: Weight = Field(0.0, description="Weight of diversity sampling (farthest from what is known).")
    random: Weight = Field(0.0, description="Weight of uniformly random sampling.")

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if not any(self.as_tuple()):
            raise PydanticCustomError("no_weight", "At least one weight should be greater than 0")
        return self

    def as_tuple(self) -> tuple[float, ...]:
        """Return the weights in the order of ``sampling.STRATEGIES``."""
        return self.uncertainty, self.diversity, self.random


class Action(WireModel):
    """What an agent does in one step: buy a batch, or stop."""

    # In OpenEnv an action schema titled "Action" is that of MCP environments; verifiers would ask us to list our tools.
    model_config = ConfigDict(title="DataSelectAction")

    action_type: Literal["select_batch", "stop"] = Field(
        description="select_batch buys a batch and trains on it; stop ends the episode and ignores the other fields."
    )
    batch_size: Integer = Field(
        ge=0,
        description=f"Samples to buy: raised to at least {MIN_BATCH}, then cut to what budget and pool still hold.",
    )
    strategy_weights: StrategyWeights = Field(description="Mix of the three query strategies, normalised internally.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Ignored; OpenEnv's typed clients send it.")

    @model_validator(mode="before")
    @classmethod
    def _complete_stop(cls, data: Any) -> Any:
        """Fill in the fields that a stop ignores: ``{"action_type": "stop"}`` alone is an action."""
        if isinstance(data, dict) and data.get("action_type") == "stop":
            return {"batch_size": 0, "strategy_weights": {"random": 1.0}, **data}
        return data

    @classmethod
    def select(cls, batch_size: int, **weights: float) -> Self:
        """Return the action that buys ``batch_size`` samples with these weights: uncertainty, diversity, random."""
        model = cast("type[StrategyWeights]", cls.model_fields["strategy_weights"].annotation)
        return cls(action_type="select_batch", batch_size=batch_size, strategy_weights=model(**weights))

    @classmethod
    def stop(cls) -> Self:
        """Return the action that ends the episode."""
        return cls.select(0, random=1.0).model_copy(update={"action_type": "stop"})


class ResetRequest(WireModel):
    """How to start an episode; every field may be left out or null."""

    task_id: TaskName | None = Field(None, description=f"Task to play; default {DEFAULT_TASK}.", examples=["hard"])
    seed: Integer | None = Field(
        None,
        ge=0,
        lt=SEED_LIMIT,
        description="Determines data set, noise and selection draws. Left out: drawn from the split (default train).",
        examples=[7],
    )
    episode_id: EpisodeId | None = Field(None, description="Name for the episode, not yet in use; default: a new one.")
    reward_mode: RewardMode | None = Field(None, description="shaped (default), or grade: rewards add up to the grade.")
    split: SplitName | None = Field(None, description="Split that the seed or index is taken from.")
    index: SpecIndex | None = Field(None, description="Index of a task spec in the split (see the Task API).")


class StepRequest(Action):
    """One action; over HTTP optionally with the episode that it is for."""

    model_config = ConfigDict(title="StepRequest")

    episode_id: EpisodeId | None = Field(
        None, description="Episode to step; default: the one most recently started over HTTP."
    )


class StepEnvelope(WireModel):
    """The same as OpenEnv's HTTP clients send it: the action wrapped."""

    action: Action
    episode_id: EpisodeId | None = Field(None, description="As in StepRequest.")
    timeout_s: float | None = Field(None, gt=0, description="Accepted for OpenEnv clients; a step is never cut off.")
    request_id: str | None = Field(None, max_length=EPISODE_ID_LENGTH, description="Accepted for OpenEnv clients.")


class Envelope(WireModel):
    """A WebSocket message."""

    type: MessageType = Field(description="What the message asks for.")
    data: dict[str, Any] | None = Field(None, description="What the operation needs: choices, an action, a request.")


class EpisodeChoice(WireModel):
    """Which HTTP episode is meant."""

    episode_id: EpisodeId | None = Field(
        None, description="Id of the episode; default: the one most recently started over HTTP."
    )


class GraderRequest(WireModel):
    """Which finished episode to grade."""

    episode_id: EpisodeId = Field(description="Id that the reply to reset carried.")
    task_id: TaskName | None = Field(None, description="Checked against the task that was played.")


# --- out ------------------------------------------------------------------------------------------------------------


class ObservationFields(WireModel):
    """What an agent sees, as it travels: ``reward`` and ``done`` stand beside it."""

    remaining_budget: int = Field(ge=0, description="Samples that may still be bought.")
    diversity_score: float = Field(ge=0, description="Standard deviation over all entries of the training set.")
    noise_estimate: float = Field(
        ge=0,
        le=1,
        description="Estimated share of wrong labels: the task's declared rate, updated by the batches already bought.",
    )
    current_performance: float = Field(ge=0, le=1, description="1 / (1 + log loss) on the validation split.")
    samples_available: int = Field(ge=0, description="Samples left in the pool.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Empty; OpenEnv's typed clients expect it.")

    def as_tuple(self) -> tuple[float, ...]:
        """Return the numbers in the order of ``OBSERVED``."""
        return tuple(getattr(self, name) for name in OBSERVED)


OBSERVED = tuple(name for name in ObservationFields.model_fields if name != "metadata")
"""Names of the numbers of an observation, in the order of its fields."""


class Observation(ObservationFields):
    """What an agent sees, with the fields that OpenEnv's schema of an observation has."""

    done: bool = Field(False, description="Whether the episode is over.")
    reward: float | None = Field(None, description="Reward of the step; null after a reset.")


class GradeBreakdown(WireModel):
    """The parts of a grade."""

    performance: float = Field(description="Performance at the end, 1 / (1 + log loss) on the validation split.")
    performance_score: float = Field(ge=0, le=1, description="Performance over the task's range.")
    avg_noise_ratio: float | None = Field(description="Share of mislabelled samples among all bought; null if none.")
    noise_score: float = Field(ge=0, le=1, description="1 for clean purchases; grows with coverage of the budget.")
    efficiency: float = Field(ge=0, le=1, description="Performance score, less a share for the budget spent.")
    budget_used: int = Field(ge=0, description="Samples bought.")
    budget: int = Field(ge=0, description="Samples that could have been bought.")
    success_criteria: str = Field(description="What an episode must reach to pass.")
    score_formula: str = Field(description="How the score is made from the parts.")


class Grade(WireModel):
    """The grade of an episode."""

    score: float = Field(ge=0, le=1, description="Score of the episode.")
    passed: bool = Field(description="Whether the task's success criteria hold.")
    breakdown: GradeBreakdown


class StepInfo(WireModel):
    """What an audit of the bought batch would tell, and how the reward came about."""

    reward_terms: dict[str, float] = Field(description="Named terms that add up to the reward.")
    batch_size: int = Field(ge=0, description="Samples actually bought in this step.")
    bought_by: dict[str, int] = Field(description="How many of them each query strategy chose.")
    mislabelled: int | None = Field(
        ge=0, description="How many of them carry a wrong label; null where the right labels are unknown."
    )
    noise_ratio: float | None = Field(
        description="mislabelled / batch_size; null when nothing was bought, or the right labels are unknown."
    )
    redundancy: float | None = Field(
        ge=0,
        le=1,
        description="(1 + mean cosine similarity to the training centroid) / 2; null when nothing was bought.",
    )
    gain: float | None = Field(
        description="Performance gain plus diversity bonus, before any cost; null when nothing was bought."
    )
    end_reason: EndReason | None = Field(description="Why the episode ended with this step; null while it goes on.")
    grade: Grade | None = Field(description="The episode's grade, once it is over.")


class ReplyMetadata(WireModel):
    """Which step of which episode a reply answers."""

    episode_id: str = Field(description="Id of the episode; /grader asks for it.")
    task_id: str = Field(description="Task of the episode.")
    seed: int = Field(description="Seed of the episode, also when it was drawn.")
    step: int = Field(ge=0, description="Actions so far; 0 after a reset.")
    info: StepInfo | None = Field(description="Reward terms and audit of the step; null after a reset.")


class ReplyBody(WireModel):
    """What OpenEnv's own clients read of a reply."""

    observation: ObservationFields
    reward: float | None = Field(description="Reward of the step; null after a reset.")
    done: bool = Field(description="Whether the episode is over.")
    metadata: ReplyMetadata


class Reply(ReplyMetadata, ReplyBody):  # in this order of bases the body's fields come first in the JSON
    """The answer to a reset or a step, the same on every transport.

    ``metadata`` repeats what stands beside it, because OpenEnv's own clients hand on nothing else to their users.
    """

    @classmethod
    def build(
        cls, *, observation: ObservationFields, reward: float | None, done: bool, metadata: ReplyMetadata
    ) -> Self:
        """Return the reply whose ``metadata`` also stands beside the observation."""
        return cls(
            observation=observation,
            reward=reward,
            done=done,
            metadata=metadata,
            episode_id=metadata.episode_id,
            task_id=metadata.task_id,
            seed=metadata.seed,
            step=metadata.step,
            info=metadata.info,
        )


class State(WireModel):
    """Metadata of an episode."""

    episode_id: str = Field(description="Id of the episode.")
    task_id: str = Field(description="Task of the episode.")
    seed: int = Field(description="Seed of the episode.")
    split: str | None = Field(description="Split that the seed belongs to; null outside of all.")
    reward_mode: RewardMode = Field(description="What the rewards are.")
    step_count: int = Field(ge=0, description="Actions so far.")
    max_steps: int = Field(ge=1, description="Actions after which the episode ends.")
    done: bool = Field(description="Whether the episode is over.")
    end_reason: EndReason | None = Field(description="Why it ended; null while it goes on.")
    remaining_budget: int = Field(ge=0, description="Samples that may still be bought.")
    current_performance: float = Field(ge=0, le=1, description="1 / (1 + log loss) on the validation split.")
    pool_size: int = Field(ge=0, description="Samples left in the pool.")
    dynamics_version: int = Field(ge=1, description="Version of the rules that the episode is played by.")


class GraderReply(Grade):
    """A grade, with the episode that it belongs to."""

    episode_id: str = Field(description="Id of the graded episode.")
    task_id: str = Field(description="Task that was played.")


class ErrorBody(WireModel):
    """The one shape of every error; on WebSocket it is the ``data`` of an ``error`` message."""

    code: str = Field(description="Stable name of the mistake, for programs.", examples=["VALIDATION_ERROR"])
    message: str = Field(description="What was wrong and what is allowed, for people.")
    field: str | None = Field(description="Dotted name of the offending field, when there is one.")


# --- validation -----------------------------------------------------------------------------------------------------

ModelT = TypeVar("ModelT", bound=WireModel)

LONGEST_NAME = 80
MOST_PROBLEMS = 5


def parse(model: type[ModelT], data: object) -> ModelT:
    """Return ``data`` as a ``model``.

    Raises:
        InvalidInput: It does not fit; the message names each field, what was wrong and what is allowed, and never
            repeats more than a field's name of what was sent.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [_describe(model, detail) for detail in error.errors(include_url=False, include_input=False)]
    text = "; ".join(f"{field}: {problem}" if field else problem for field, problem in problems[:MOST_PROBLEMS])
    raise InvalidInput(text, field=problems[0][0] or None)


def _describe(model: type[WireModel], detail: ErrorDetails) -> tuple[str, str]:
    """Return the dotted name and the sentence for one of pydantic's errors."""
    field = ".".join(str(part) for part in detail["loc"])
    field = "".join(letter if letter.isprintable() else "?" for letter in field)[:LONGEST_NAME]
    if detail["type"] == "extra_forbidden":
        owner: type[BaseModel] = model
        for part in detail["loc"][:-1]:
            inner = owner.model_fields[part].annotation if isinstance(part, str) else None
            owner = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else owner
        return field, f"unknown field; allowed are {', '.join(owner.model_fields)}"
    if detail["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return field, "Input should be a JSON object"
    return field, detail["msg"]
