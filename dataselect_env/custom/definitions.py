"""The fields of a task file, checked as far as that is possible without the data.

:mod:`dataselect_env.custom.task_file` reads task files. ``docs/tasks.schema.json`` and the table of fields in
docs/own-data.md are generated from this module.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from dataselect_env.core.numbers import as_integer
from dataselect_env.core.tasks import MIN_BATCH

TASK_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
"""Pattern of task names."""
BUNDLED = ("digits", "breast_cancer", "wine")
"""Data sets that come with scikit-learn."""
NoiseRegion = Literal["boundary", "confident", "core", "fringe", "worlds"]
NoiseRate = Annotated[float, Field(ge=0, lt=0.5)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base class of all parts of a task file: no unknown fields, finite numbers, no conversion from other types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _integers(cls, value: object) -> object:
        """Take 50.0 for 50, as JSON Schema does."""
        return [as_integer(item) for item in value] if isinstance(value, list) else as_integer(value)

    def _exactly_one(self, *names: str) -> None:
        if sum(getattr(self, name) is not None for name in names) != 1:
            raise PydanticCustomError("one_of", "Exactly one of {names} should be given", {"names": ", ".join(names)})


class Table(Section):
    """Rows with labels: a file, a data set that comes with scikit-learn, or one from OpenML."""

    file: str | None = Field(
        None,
        description="A file: .csv, .tsv, .jsonl or .json, also packed as .gz or .zip; .parquet, .feather, .orc, .xlsx,"
        " .xls, .xlsb, .ods or .npz. Relative names start at the folder of the task file.",
        min_length=1,
    )
    sheet: str | None = Field(None, description="Sheet of a spreadsheet; default: the first one.", min_length=1)
    bundled: Literal["digits", "breast_cancer", "wine"] | None = Field(None, description="A data set of scikit-learn.")
    openml: str | None = Field(None, description="Name of a data set on openml.org; needs a network.", min_length=1)
    version: int | None = Field(None, ge=1, description="Version of the OpenML data set; default: the active one.")
    target: str | None = Field(
        None,
        description="Column, or array of an .npz file, with the labels. Required for files; OpenML has a default.",
    )
    true_target: str | None = Field(
        None, description="Column with the right labels, if some labels in target are known to be wrong."
    )
    annotator: str | None = Field(
        None, description="Column that names the annotator of each row; for noise.annotators."
    )
    columns: list[str] | None = Field(None, min_length=1, description="Features; default: every other column.")
    exclude: list[str] = Field([], description="Columns that are not features.")
    categorical: list[str] = Field([], description="Features that are categories even if they are written as numbers.")
    classes: list[str | int] | None = Field(
        None, min_length=2, description="The expected labels, exactly; default: the labels found."
    )
    max_rows: int | None = Field(None, ge=30, description="Rows to use, a stratified draw by class; default: all rows.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_source()
        return self

    def _check_source(self) -> None:
        """Check the fields that say where the rows come from."""
        self._exactly_one("file", "bundled", "openml")
        if self.file is not None and self.target is None:
            raise PydanticCustomError("target", "A file needs a target: the name of the column with the labels")
        if self.sheet is not None and self.file is None:
            raise PydanticCustomError("sheet", "Only files have sheets")
        if self.version is not None and self.openml is None:
            raise PydanticCustomError("version", "Only OpenML data sets have a version")
        if self.bundled is not None and (self.target or self.true_target or self.annotator):
            raise PydanticCustomError("bundled", "A bundled data set has its own labels, and no other columns for them")


class Generator(Section):
    """Data sets of scikit-learn's ``make_classification``, another one for each seed."""

    n_features: int = Field(80, ge=2, le=1_000, description="Features.")
    n_informative: int = Field(16, ge=2, description="Features in which the classes differ.")
    n_redundant: int = Field(0, ge=0, description="Features that are combinations of the informative ones.")
    n_classes: int = Field(2, ge=2, le=100, description="Classes.")
    n_clusters_per_class: int = Field(1, ge=1, description="Clusters per class.")
    class_sep: float = Field(1.0, gt=0, description="Distance between the classes.")
    class_shares: list[float] | None = Field(None, description="Share of each class; default: equal shares.")

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


class Split(Section):
    """How rows are divided. The validation split is the same for all seeds; each seed draws its own seed set."""

    seed: int | None = Field(
        None,
        ge=2,
        description="Samples of the seed set, whose labels are right as far as known. Default for a generator: 100; for"
        " a table: 2 % of its rows, at least three per class and at most 100.",
    )
    validation: int | None = Field(
        None,
        ge=10,
        description="Samples on which performance is measured; they cannot be bought. Default for a generator: 200; for"
        " a table: 20 % of its rows, at most 1,000.",
    )
    pool: int | None = Field(
        None,
        ge=MIN_BATCH,
        description="Samples that can be bought. Default for a generator: 1,100; for a table: all other rows.",
    )


class InstanceNoise(Section):
    """Label errors in one region of the feature space."""

    rate: NoiseRate = Field(description="Share of wrong labels in the pool.")
    where: NoiseRegion = Field(
        "boundary",
        description="boundary: where the warm-started model is least sure; confident: where it is surest; core: near"
        " the centre of the pool; fringe: far from it; worlds: core or confident, depending on the seed, as in the"
        " built-in tasks.",
    )
    sharpness: float = Field(
        5.0, ge=0, le=100, description="How strictly errors keep to the region: 0 not at all, 30 almost strictly."
    )


class Annotator(Section):
    """One of the annotators who labelled the pool."""

    rate: NoiseRate = Field(description="Share of wrong labels among this annotator's.")
    share: float | None = Field(
        None, gt=0, le=1, description="Share of the pool; left out if table.annotator names the annotators."
    )


class Noise(Section):
    """Which labels of the pool are wrong; exactly one of these."""

    uniform: NoiseRate | None = Field(None, description="Share of wrong labels, with any other class equally likely.")
    confusion: dict[str, dict[str, Probability]] | None = Field(
        None,
        min_length=1,
        description="For each true class the probability of each wrong class; the rest stays right.",
    )
    instance: InstanceNoise | None = Field(None, description="Label errors in one region of the feature space.")
    annotators: dict[str, Annotator] | None = Field(
        None, min_length=1, description="Annotators by name; each sample is labelled by one of them."
    )
    unknown: NoiseRate | None = Field(
        None,
        description="The table's labels are partly wrong, without ground truth; a first guess of the share.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._exactly_one("uniform", "confusion", "instance", "annotators", "unknown")
        for true, row in (self.confusion or {}).items():
            if sum(row.values()) > 1:
                raise PydanticCustomError("row", "The probabilities of class {true} exceed 1", {"true": true})
            if true in row:
                message = "Class {true} should not be among its own wrong classes; leave it out"
                raise PydanticCustomError("row", message, {"true": true})
        shares = [one.share for one in (self.annotators or {}).values()]
        given = [share for share in shares if share is not None]
        if given and (len(given) < len(shares) or abs(sum(given) - 1) > 1e-9):
            raise PydanticCustomError("shares", "The shares of the annotators should add up to 1")
        return self


class ScoreWeights(Section):
    """Weights of the parts of the score; they add up to 1."""

    performance: float = Field(1.0, ge=0, le=1, description="Weight of the performance score.")
    noise: float = Field(0.0, ge=0, le=1, description="Weight of the noise score; needs ground truth.")
    efficiency: float = Field(0.0, ge=0, le=1, description="Weight of the efficiency.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if abs(self.performance + self.noise + self.efficiency - 1) > 1e-9:
            raise PydanticCustomError("sum", "The weights should add up to 1")
        return self


class PassCriteria(Section):
    """What an episode must reach to pass."""

    performance: Probability | None = Field(
        None, description="Performance to exceed; default: the middle of the range."
    )
    noise: Probability | None = Field(None, description="Upper limit for the share of wrong labels bought, exclusive.")


class Score(Section):
    """How episodes are graded."""

    metric: Literal["log_loss", "balanced_log_loss"] = Field(
        "log_loss", description="balanced_log_loss gives every class of the validation split the same weight."
    )
    performance_range: list[Probability] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="Performances that score 0 and 1; default: measured, from the warm-started model to a model trained"
        " on the whole pool with right labels.",
    )
    weights: ScoreWeights = ScoreWeights()
    passes: PassCriteria = Field(PassCriteria(), description="What an episode must reach to pass.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.performance_range is not None and not self.performance_range[0] < self.performance_range[1]:
            raise PydanticCustomError("range", "performance_range should rise")
        return self


class LearnerSettings(Section):
    """The classifier: an SGDClassifier with log loss, one-vs-rest for more than two classes."""

    alpha: float | None = Field(
        None,
        gt=0,
        le=10,
        description="L2 penalty, which also sets the learning rate: higher for many features and few labels. Default:"
        " the candidate with the best performance after a random purchase of the whole budget with right labels, on"
        " seeds of the train split.",
    )
    warm_up_passes: int = Field(10, ge=1, le=100, description="Passes over the seed set before the first step.")


class TaskDefinition(Section):
    """One task of a task file."""

    summary: str | None = Field(None, max_length=300, description="What the task asks of an agent, in one sentence.")
    table: Table | None = Field(None, description="Source of the samples: a table.")
    generator: Generator | None = Field(None, description="Source of the samples: a generator.")
    split: Split = Field(Split(), description="How samples are divided.")
    noise: Noise | None = Field(None, description="Which labels of the pool are wrong; default: none.")
    audited: bool = Field(
        True,
        description="Whether observations, replies, rewards and grades report how many labels of the batches are wrong."
        " If false, only oracles in process see it.",
    )
    noise_trap: bool = Field(
        False, description="Whether the entropy of mislabelled samples is raised, as in the built-in tasks."
    )
    budget: int = Field(100, ge=MIN_BATCH, description="Samples that may be bought in an episode.")
    max_steps: int = Field(10, ge=1, le=1_000, description="Actions in an episode.")
    min_batch: int = Field(MIN_BATCH, ge=1, description="Smallest batch while budget and pool hold as many samples.")
    max_batch: int | None = Field(None, ge=1, description="Largest batch; default: the budget.")
    strategies: list[str] = Field(
        [], description="Query strategies offered in addition to uncertainty, diversity and random."
    )
    mixing: Literal["quotas", "ranks"] = Field(
        "quotas",
        description="quotas: each strategy picks its share of a batch. ranks: utilities are converted to ranks, summed"
        " by weight, and the highest are picked.",
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
            raise PydanticCustomError("noise", "table.true_target already determines the noise; leave noise out")
        if self.generator is not None and self.noise is not None and self.noise.unknown is not None:
            raise PydanticCustomError("noise", "A generator has ground truth; noise.unknown is for tables")
        reported = self.has_ground_truth and self.audited
        if not reported and (self.score.weights.noise or self.score.passes.noise is not None):
            missing = "an audit" if self.has_ground_truth else "ground truth"
            raise PydanticCustomError(
                "noise",
                "Without {missing}, neither score.weights.noise nor score.passes.noise can be used",
                {"missing": missing},
            )
        return self

    @property
    def has_ground_truth(self) -> bool:
        """Whether the wrong labels are known."""
        return self.noise is None or self.noise.unknown is None


class TaskFile(Section):
    """A task file: tasks by name."""

    tasks: dict[Annotated[str, Field(pattern=TASK_NAME)], TaskDefinition] = Field(
        min_length=1, description="Tasks by name: lower-case letters, digits, - and _."
    )


def file_schema() -> dict[str, Any]:
    """Return the JSON schema of task files, for editors that complete and check them."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **TaskFile.model_json_schema()}
