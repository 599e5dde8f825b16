"""Wire types: requests and replies, the same on every transport.

All are frozen and refuse unknown fields and numbers that are not finite. A number may have any numeric type, numpy's
included; strings and booleans are refused (``"10"``, ``true``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from dataselect_env.core.numbers import Count, Integer, Weight, as_integer
from dataselect_env.core.problem import Problem
from dataselect_env.core.tasks import DEFAULT_TASK, MIN_BATCH, SEALED, SEED_LIMIT, SPLITS, TASKS
from dataselect_env.core.validation import WireModel

RewardMode = Literal["shaped", "grade"]
DEFAULT_REWARD_MODE: RewardMode = "shaped"
Operation = Literal["reset", "step", "state"]
EndReason = Literal["stop", "budget", "max_steps", "pool"]
MessageType = Literal["reset", "step", "state", "mcp", "close"]
StrategyName = Literal["uncertainty", "diversity", "random"]

EPISODE_ID_LENGTH = 255
AGENT_NAME = r"^[A-Za-z0-9._-]+$"
LONGEST_AGENT_NAME = 64


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
    schema["enum"] = list(TASKS)  # when the schema is made: custom tasks may have been registered


# Only the schemas list the names. Validation accepts any name, and the lookup raises a specific error if it is unknown.
TaskName = Annotated[str, Field(max_length=64, json_schema_extra=_named_tasks)]
SplitName = Annotated[str, Field(max_length=64, json_schema_extra={"enum": list(SPLITS)})]
AnySplitName = Annotated[str, Field(max_length=64, json_schema_extra={"enum": [*SPLITS, SEALED]})]
Seed = Annotated[int, Field(ge=0, lt=SEED_LIMIT), BeforeValidator(as_integer)]
AgentName = Annotated[str, Field(max_length=LONGEST_AGENT_NAME, pattern=AGENT_NAME, examples=["my-agent"])]
SpecIndex = Annotated[Integer, Field(json_schema_extra={"minimum": 0})]


# --- requests -------------------------------------------------------------------------------------------------------


class StrategyWeights(WireModel):
    """Mix of the query strategies. Only the ratios of the weights matter; at least one must be positive."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    uncertainty: Weight = Field(0.0, description="Weight of uncertainty sampling (highest predictive entropy).")
    diversity: Weight = Field(0.0, description="Weight of diversity sampling (farthest from the training centroid).")
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
    """The action of one step: buy a batch, or stop."""

    # OpenEnv takes an action schema titled "Action" for that of an MCP environment; verifiers would ask for its tools.
    model_config = ConfigDict(title="DataSelectAction")

    action_type: Literal["select_batch", "stop"] = Field(
        description="select_batch buys a batch and trains on it; stop ends the episode and ignores the other fields."
    )
    batch_size: Count = Field(
        description=f"Samples to buy: raised to at least {MIN_BATCH}, then cut to what budget and pool still hold.",
    )
    strategy_weights: StrategyWeights = Field(description="Mix of the three query strategies, normalised internally.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Ignored; OpenEnv's typed clients send it.")

    @model_validator(mode="before")
    @classmethod
    def _complete_stop(cls, data: Any) -> Any:
        """Fill in the fields that a stop ignores, so that ``{"action_type": "stop"}`` is a complete action."""
        if isinstance(data, dict) and data.get("action_type") == "stop":
            return {"batch_size": 0, "strategy_weights": {"random": 1.0}, **data}
        return data

    @classmethod
    def select(cls, batch_size: int, **weights: float) -> Self:
        """Return the action that buys ``batch_size`` samples; ``weights`` are those of the strategies, by name."""
        model = cast("type[StrategyWeights]", cls.model_fields["strategy_weights"].annotation)
        return cls(action_type="select_batch", batch_size=batch_size, strategy_weights=model(**weights))

    @classmethod
    def stop(cls) -> Self:
        """Return the action that ends the episode."""
        return cls.select(0, random=1.0).model_copy(update={"action_type": "stop"})


class ResetRequest(WireModel):
    """Options of a new episode; every field may be omitted or null."""

    task_id: TaskName | None = Field(None, description=f"Task to play; default {DEFAULT_TASK}.", examples=["hard"])
    seed: Seed | None = Field(
        None,
        description="Determines data set, label noise and selection draws. Default: drawn from the split, which itself"
        " defaults to train.",
        examples=[7],
    )
    episode_id: EpisodeId | None = Field(None, description="Id for the episode, not yet in use; default: a random one.")
    reward_mode: RewardMode | None = Field(None, description="shaped (default), or grade: rewards add up to the grade.")
    split: AnySplitName | None = Field(None, description="Split that the seed is drawn from or the index refers to.")
    index: SpecIndex | None = Field(
        None,
        description="Index of a task spec in the split (see the Task API). In the sealed split, which has its own"
        " indices for every task, the default is the next one in the server's order.",
    )
    agent: AgentName | None = Field(
        None, description="Name under which the episode counts on the leaderboard; the sealed split requires it."
    )
    agent_token: SecretStr | None = Field(
        None, max_length=256, description="Token of a registered agent; others have none."
    )


class StepRequest(Action):
    """An action; over HTTP optionally with the id of the episode."""

    model_config = ConfigDict(title="StepRequest")

    episode_id: EpisodeId | None = Field(
        None, description="Episode to step; default: the one most recently started over HTTP."
    )


class StepEnvelope(WireModel):
    """An action wrapped in an object, as OpenEnv's HTTP clients send it."""

    action: Action
    episode_id: EpisodeId | None = Field(None, description="As in StepRequest.")
    timeout_s: float | None = Field(None, gt=0, description="Accepted for OpenEnv clients and ignored.")
    request_id: str | None = Field(
        None, max_length=EPISODE_ID_LENGTH, description="Accepted for OpenEnv clients and ignored."
    )


class Envelope(WireModel):
    """A WebSocket message."""

    type: MessageType = Field(description="Operation that the message requests.")
    data: dict[str, Any] | None = Field(None, description="Reset options, an action or an MCP request.")


class EpisodeChoice(WireModel):
    """The HTTP episode that a request refers to."""

    episode_id: EpisodeId | None = Field(
        None, description="Id of the episode; default: the one most recently started over HTTP."
    )


class GraderRequest(WireModel):
    """The finished episode to grade."""

    episode_id: EpisodeId = Field(description="Id of the episode, as in the reply to reset.")
    task_id: TaskName | None = Field(None, description="If given, must be the task of the episode.")


# --- replies --------------------------------------------------------------------------------------------------------


class ObservationFields(WireModel):
    """An observation inside a reply, where ``reward`` and ``done`` are siblings of it."""

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
    """What an agent observes after a step, with the fields of OpenEnv's observation schema."""

    done: bool = Field(False, description="Whether the episode is over.")
    reward: float | None = Field(None, description="Reward of the step; null after a reset.")


class GradeBreakdown(WireModel):
    """The parts of a grade."""

    performance: float = Field(description="Performance at the end, 1 / (1 + log loss) on the validation split.")
    performance_score: float = Field(ge=0, le=1, description="Performance rescaled from the task's range, clipped.")
    avg_noise_ratio: float | None = Field(description="Share of mislabelled samples among all bought; null if none.")
    noise_score: float = Field(ge=0, le=1, description="Cleanliness of the purchases, less if few were made.")
    efficiency: float = Field(ge=0, le=1, description="Performance score, reduced in proportion to spending.")
    budget_used: int = Field(ge=0, description="Samples bought.")
    budget: int = Field(ge=0, description="Samples that may be bought in the episode.")
    success_criteria: str = Field(description="What an episode must reach to pass.")
    score_formula: str = Field(description="How the score is computed from the parts.")


class Grade(WireModel):
    """The grade of an episode."""

    score: float = Field(ge=0, le=1, description="Score of the episode.")
    passed: bool = Field(description="Whether the task's success criteria hold.")
    breakdown: GradeBreakdown


class StepInfo(WireModel):
    """The audit of the batch bought, and the terms of the reward."""

    reward_terms: dict[str, float] = Field(description="Named terms that add up to the reward.")
    batch_size: int = Field(ge=0, description="Samples actually bought in this step.")
    bought_by: dict[str, int] = Field(description="How many of them each query strategy chose.")
    mislabelled: int | None = Field(
        ge=0, description="How many of them have a wrong label; null if nobody audits the batches."
    )
    noise_ratio: float | None = Field(
        description="mislabelled / batch_size; null when nothing was bought or nobody audits the batches."
    )
    redundancy: float | None = Field(
        ge=0,
        le=1,
        description="(1 + mean cosine similarity to the training centroid) / 2; null when nothing was bought.",
    )
    gain: float | None = Field(
        description="Performance gain plus diversity bonus, before any cost; null when nothing was bought."
    )
    end_reason: EndReason | None = Field(description="Why the episode ended with this step; null while it runs.")
    grade: Grade | None = Field(description="Grade of the episode; null while it runs.")


class ReplyMetadata(WireModel):
    """The episode and step that a reply belongs to."""

    episode_id: str = Field(description="Id of the episode; /grader needs it.")
    task_id: str = Field(description="Task of the episode.")
    seed: int | None = Field(description="Seed of the episode, given or drawn; null on the sealed split.")
    index: int | None = Field(
        None,
        exclude_if=lambda index: index is None,
        description="Index of the episode in the sealed split; absent on other splits.",
    )
    step: int = Field(ge=0, description="Actions so far; 0 after a reset.")
    info: StepInfo | None = Field(description="Reward terms and audit of the step; null after a reset.")
    problem: Problem | None = Field(
        None,
        exclude_if=lambda problem: problem is None,
        description="The problem, in the reply to a reset of the task open or a custom task; absent otherwise.",
    )

    @property
    def place(self) -> str:
        """Seed or, on the sealed split, index of the episode, for people."""
        return f"index {self.index}" if self.seed is None else f"seed {self.seed}"


class ReplyBody(WireModel):
    """The part of a reply that OpenEnv's own clients read."""

    observation: ObservationFields
    reward: float | None = Field(description="Reward of the step; null after a reset.")
    done: bool = Field(description="Whether the episode is over.")
    metadata: ReplyMetadata


class Reply(ReplyMetadata, ReplyBody):  # this order of bases puts the fields of the body first in the JSON
    """The reply to a reset or a step, the same on every transport.

    ``metadata`` repeats the fields of :class:`ReplyMetadata`, because OpenEnv's own clients pass nothing else on.
    """

    @classmethod
    def build(
        cls, *, observation: ObservationFields, reward: float | None, done: bool, metadata: dict[str, object]
    ) -> Self:
        """Return a reply; ``metadata`` has the fields of :class:`ReplyMetadata`, which stand at the top level too."""
        return cls.model_validate(
            {"observation": observation, "reward": reward, "done": done, "metadata": metadata, **metadata}
        )


class State(WireModel):
    """Metadata of an episode."""

    episode_id: str = Field(description="Id of the episode.")
    task_id: str = Field(description="Task of the episode.")
    seed: int | None = Field(description="Seed of the episode; null on the sealed split.")
    split: str | None = Field(description="Split that the seed belongs to; null if it belongs to none.")
    index: int | None = Field(
        None,
        exclude_if=lambda index: index is None,
        description="Index of the episode in the sealed split; absent on other splits.",
    )
    reward_mode: RewardMode = Field(description="Reward mode of the episode.")
    step_count: int = Field(ge=0, description="Actions so far.")
    max_steps: int = Field(ge=1, description="Actions after which the episode ends.")
    done: bool = Field(description="Whether the episode is over.")
    end_reason: EndReason | None = Field(description="Why the episode ended; null while it runs.")
    remaining_budget: int = Field(ge=0, description="Samples that may still be bought.")
    current_performance: float = Field(ge=0, le=1, description="1 / (1 + log loss) on the validation split.")
    pool_size: int = Field(ge=0, description="Samples left in the pool.")
    dynamics_version: int = Field(ge=1, description="Version of the environment's dynamics.")


class ErrorBody(WireModel):
    """The body of every error; on WebSocket, the ``data`` of an ``error`` message."""

    code: str = Field(description="Stable error code, for programs.", examples=["VALIDATION_ERROR"])
    message: str = Field(description="What was wrong and what is allowed, for people.")
    field: str | None = Field(description="Dotted name of the offending field, if there is one.")
