"""What a task file says: the fields of ``tasks.yaml``, checked as far as that is possible without the data.

:mod:`dataselect_env.custom.task_file` reads such files and makes tasks of them. ``docs/tasks.schema.json`` is rendered
from here; docs/own-data.md explains every field by examples.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from dataselect_env.core.tasks import MIN_BATCH

NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
"""What tasks may be called."""
BUNDLED = ("digits", "breast_cancer", "wine")
"""Data sets that scikit-learn brings along."""
Where = Literal["boundary", "confident", "core", "fringe", "worlds"]
Rate = Annotated[float, Field(ge=0, lt=0.5)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Definition(BaseModel):
    """Base of all parts of a task file: nothing unknown, nothing converted, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def _exactly_one(self, *names: str) -> None:
        if sum(getattr(self, name) is not None for name in names) != 1:
            raise PydanticCustomError("one_of", "Exactly one of {names} should be given", {"names": ", ".join(names)})


class Table(Definition):
    """Rows with labels: a file of the user's, a data set that scikit-learn brings along, or one from OpenML."""

    file: str | None = Field(
        None, description="A .csv, .parquet or .npz file; relative to the folder of the task file.", min_length=1
    )
    bundled: Literal["digits", "breast_cancer", "wine"] | None = Field(None, description="A data set of scikit-learn.")
    openml: str | None = Field(None, description="Name of a data set on openml.org; needs a network.", min_length=1)
    version: int | None = Field(None, ge=1, description="Version of the OpenML data set; default: the active one.")
    target: str | None = Field(
        None,
        description="Column, or array of an .npz file, with the labels. Needed for files; OpenML sets have a default.",
    )
    true_target: str | None = Field(
        None, description="Column with the right labels, where those in target are known to be partly wrong."
    )
    annotator: str | None = Field(None, description="Column that says who labelled a row; for noise.annotators.")
    columns: list[str] | None = Field(None, min_length=1, description="Features; default: every other column.")
    exclude: list[str] = Field([], description="Columns that are no features.")
    categorical: list[str] = Field([], description="Features that are categories though they are written as numbers.")
    classes: list[str | int] | None = Field(
        None, min_length=2, description="Labels that there must be, and no others; default: those that are found."
    )
    max_rows: int | None = Field(None, ge=30, description="Take so many rows, drawn evenly by class; default: all.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._exactly_one("file", "bundled", "openml")
        if self.file is not None and self.target is None:
            raise PydanticCustomError("target", "A file needs a target: the name of the column with the labels")
        if self.version is not None and self.openml is None:
            raise PydanticCustomError("version", "Only OpenML data sets have a version")
        if self.bundled is not None and (self.target or self.true_target or self.annotator):
            raise PydanticCustomError("bundled", "A bundled data set has its own labels, and no other columns for them")
        return self


class Generator(Definition):
    """Data sets of scikit-learn's ``make_classification``, another one for each seed."""

    n_features: int = Field(80, ge=2, le=1_000, description="Features.")
    n_informative: int = Field(16, ge=2, description="Features that the classes differ in.")
    n_redundant: int = Field(0, ge=0, description="Features that are combinations of the informative ones.")
    n_classes: int = Field(2, ge=2, le=100, description="Classes.")
    n_clusters_per_class: int = Field(1, ge=1, description="Clusters of each class.")
    class_sep: float = Field(1.0, gt=0, description="How far apart the classes lie.")
    class_shares: list[float] | None = Field(None, description="Share of each class; default: all alike.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.n_informative + self.n_redundant > self.n_features:
            raise PydanticCustomError("features", "n_informative and n_redundant should not exceed n_features together")
        if self.n_classes * self.n_clusters_per_class > 2**self.n_informative:
            raise PydanticCustomError(
                "clusters", "n_classes x n_clusters_per_class should not exceed 2 to the power of n_informative"
            )
        shares = self.class_shares
        if shares is not None and (len(shares) != self.n_classes or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9):
            raise PydanticCustomError(
                "shares", "class_shares should be one positive share for each class, adding up to 1"
            )
        return self


class Split(Definition):
    """How rows are divided. Rows of the validation split are the same for all seeds; the seed set is drawn by seed."""

    seed: int | None = Field(
        None,
        ge=2,
        description="Samples of the seed set, whose labels are right where that is known; default: 100 of a generator,"
        " a fiftieth of a table's rows, at least three for each class and at most 100.",
    )
    validation: int | None = Field(
        None,
        ge=10,
        description="Samples that performance is measured on, never bought; default: 200 of a generator, a fifth of a"
        " table's rows, at most 1,000.",
    )
    pool: int | None = Field(
        None, ge=MIN_BATCH, description="Samples that can be bought; default: all others, of a generator 1,100."
    )


class InstanceNoise(Definition):
    """Wrong labels where samples are of a kind."""

    rate: Rate = Field(description="Share of wrong labels in the pool.")
    where: Where = Field(
        "boundary",
        description="boundary: where the warmed-up model is least sure; confident: where it is surest; core: near the"
        " centre of the pool; fringe: far from it; worlds: core or confident from seed to seed, as in the built-in"
        " tasks.",
    )
    sharpness: float = Field(
        5.0, ge=0, le=100, description="How strictly: 0 is not at all, 30 is nearly a sharp border."
    )


class Annotator(Definition):
    """One of those who labelled the pool."""

    rate: Rate = Field(description="Share of wrong labels among this annotator's.")
    share: float | None = Field(
        None, gt=0, le=1, description="Share of the pool; left out where table.annotator says who labelled what."
    )


class Noise(Definition):
    """Which labels of the pool are wrong; exactly one of these."""

    uniform: Rate | None = Field(None, description="Share of wrong labels; any other class is as likely.")
    confusion: dict[str, dict[str, Probability]] | None = Field(
        None,
        min_length=1,
        description="For a true class the probability of each wrong one; what is left stays right.",
    )
    instance: InstanceNoise | None = Field(None, description="Wrong labels where samples are of a kind.")
    annotators: dict[str, Annotator] | None = Field(
        None, min_length=1, description="Each sample is labelled by one of these."
    )
    unknown: Rate | None = Field(
        None,
        description="The table's labels are partly wrong and nobody knows which; this share is a first guess.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._exactly_one("uniform", "confusion", "instance", "annotators", "unknown")
        for true, row in (self.confusion or {}).items():
            if sum(row.values()) > 1:
                raise PydanticCustomError("row", "The probabilities of class {true} exceed 1", {"true": true})
            if true in row:
                raise PydanticCustomError("row", "Class {true} is not wrong as itself; leave it out", {"true": true})
        shares = [one.share for one in (self.annotators or {}).values()]
        given = [share for share in shares if share is not None]
        if given and (len(given) < len(shares) or abs(sum(given) - 1) > 1e-9):
            raise PydanticCustomError("shares", "The shares of the annotators should add up to 1")
        return self


class ScoreWeights(Definition):
    """Parts of the score; they add up to 1."""

    performance: float = Field(1.0, ge=0, le=1, description="Weight of the performance score.")
    noise: float = Field(0.0, ge=0, le=1, description="Weight of the noise score; needs known labels.")
    efficiency: float = Field(0.0, ge=0, le=1, description="Weight of the efficiency.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if abs(self.performance + self.noise + self.efficiency - 1) > 1e-9:
            raise PydanticCustomError("sum", "The weights should add up to 1")
        return self


class Pass(Definition):
    """What an episode must reach to pass."""

    performance: Probability | None = Field(
        None, description="Performance to exceed; default: the middle of the range."
    )
    noise: Probability | None = Field(None, description="Share of wrong labels among those bought to stay below.")


class Score(Definition):
    """How episodes are graded."""

    metric: Literal["log_loss", "balanced_log_loss"] = Field(
        "log_loss", description="balanced_log_loss: every class of the validation split counts the same."
    )
    performance_range: list[Probability] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="Performance that scores 0 and 1; default: measured, from the warmed-up model to one trained on"
        " the whole pool with right labels.",
    )
    weights: ScoreWeights = ScoreWeights()
    passes: Pass = Field(Pass(), description="What an episode must reach to pass.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.performance_range is not None and not self.performance_range[0] < self.performance_range[1]:
            raise PydanticCustomError("range", "performance_range should rise")
        return self


class LearnerSettings(Definition):
    """The classifier: an SGDClassifier with log loss, one-vs-rest for more than two classes."""

    alpha: float | None = Field(
        None,
        gt=0,
        le=10,
        description="L2 penalty, which also sets the learning rate: higher for many features and few labels. Default:"
        " the one of a few with the best performance after a whole budget at random with right labels, on seeds of the"
        " train split.",
    )
    warm_up_passes: int = Field(10, ge=1, le=100, description="Passes over the seed set before the first step.")


class TaskDefinition(Definition):
    """One task of a task file."""

    summary: str | None = Field(None, max_length=300, description="What the task asks of an agent, one sentence.")
    table: Table | None = Field(None, description="Where the samples come from: a table.")
    generator: Generator | None = Field(None, description="Where the samples come from: a generator.")
    split: Split = Field(Split(), description="How samples are divided.")
    noise: Noise | None = Field(None, description="Which labels of the pool are wrong; default: none.")
    noise_trap: bool = Field(
        False, description="Whether the entropy of wrong labels is raised, as in the built-in tasks."
    )
    budget: int = Field(100, ge=MIN_BATCH, description="Samples that may be bought in an episode.")
    max_steps: int = Field(10, ge=1, le=1_000, description="Actions in an episode.")
    min_batch: int = Field(MIN_BATCH, ge=1, description="Smallest batch while budget and pool hold as many.")
    max_batch: int | None = Field(None, ge=1, description="Largest batch; default: the budget.")
    strategies: list[str] = Field(
        [], description="Query strategies that are offered beside uncertainty, diversity and random."
    )
    mixing: Literal["quotas", "ranks"] = Field(
        "quotas",
        description="quotas: each strategy picks its share of a batch. ranks: utilities are normalised to ranks, added"
        " up by weight, and the highest are picked.",
    )
    score: Score = Field(Score(), description="How episodes are graded.")
    learner: LearnerSettings = Field(LearnerSettings(), description="The classifier.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._exactly_one("table", "generator")
        if self.min_batch > self.budget:
            raise PydanticCustomError("min_batch", "min_batch should not exceed the budget")
        if self.max_batch is not None and self.max_batch < self.min_batch:
            raise PydanticCustomError("max_batch", "max_batch should be at least min_batch")
        if self.split.pool is not None and self.split.pool < self.budget:
            raise PydanticCustomError("budget", "The budget should not exceed split.pool")
        if self.noise is not None and self.table is not None and self.table.true_target is not None:
            raise PydanticCustomError("noise", "With table.true_target the noise is that of the table; leave noise out")
        if self.generator is not None and self.noise is not None and self.noise.unknown is not None:
            raise PydanticCustomError("noise", "A generator knows its labels; noise.unknown is for tables")
        if not self.has_ground_truth and (self.score.weights.noise or self.score.passes.noise is not None):
            raise PydanticCustomError(
                "noise", "Where the right labels are unknown, neither score.weights.noise nor score.passes.noise can be"
            )
        return self

    @property
    def has_ground_truth(self) -> bool:
        """Whether it is known which labels are wrong."""
        return self.noise is None or self.noise.unknown is None


class TaskFile(Definition):
    """A task file: tasks by name."""

    tasks: dict[Annotated[str, Field(pattern=NAME)], TaskDefinition] = Field(
        min_length=1, description="Tasks by name: lower-case letters, digits, - and _."
    )


def file_schema() -> dict[str, Any]:
    """Return the JSON schema of task files, for editors that complete and check them."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **TaskFile.model_json_schema()}
