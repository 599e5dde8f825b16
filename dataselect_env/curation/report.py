"""The report of a curation: what was bought, and how the model does against others on the same budget."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from dataselect_env.core.validation import WireModel
from dataselect_env.evaluation.records import Versions
from dataselect_env.evaluation.statistics import Difference

CurvePoint = tuple[float, float, float]
NAME_WIDTH = 22


class StepReport(WireModel):
    """One step of the purchase."""

    bought: int = Field(ge=0, description="Rows bought so far.")
    bought_by: dict[str, int] = Field(description="Rows that each query strategy chose in this step.")
    performance: float = Field(description="1 / (1 + log loss) of the learner on the validation half, after the step.")
    noise_estimate: float = Field(ge=0, le=1, description="Estimated share of wrong labels among rows like these.")
    wrong: int | None = Field(description="Wrong labels that the audit found in the batch; null without an audit.")


class Contender(WireModel):
    """A way to choose rows, judged on trusted rows that it did not see."""

    name: str = Field(description="Name of a policy, or what else the model was fitted on.")
    rows: float = Field(ge=0, description="Rows of the table that the model was fitted on, mean over the folds.")
    accuracy: float = Field(ge=0, le=1, description="Share of trusted rows that the model predicts.")
    performance: float = Field(ge=0, le=1, description="1 / (1 + log loss) of the model on the trusted rows.")
    curve: tuple[CurvePoint, ...] = Field(
        description="Rows bought, accuracy and performance at the start and after each step, means over the folds."
    )
    advantage: Difference | None = Field(
        description="Accuracy of the chosen policy less that of this contender, paired by trusted row; null for the"
        " policy itself."
    )


class Comparison(WireModel):
    """Cross-validation on the trusted rows: each fold repeats the whole curation with the other folds."""

    folds: int = Field(ge=2, description="Number of folds.")
    contenders: tuple[Contender, ...] = Field(description="The policy, its rivals, and models without a choice.")


class CurationReport(WireModel):
    """The report of a curation."""

    policy: str = Field(description="Name of the policy that chose the rows.")
    table_rows: int = Field(description="Rows of the noisy table.")
    trusted_rows: int = Field(description="Trusted rows.")
    repeated: int = Field(ge=0, description="Trusted rows with the features of a row of the table.")
    features: int = Field(description="Encoded features.")
    classes: tuple[str, ...] = Field(description="Names of the classes.")
    budget: int = Field(description="Rows that could be bought.")
    max_steps: int = Field(description="Steps that could be taken.")
    seed: int = Field(description="Seed of all draws.")
    noise_rate: float = Field(description="Share of wrong labels in the table, estimated or as given.")
    audited: bool = Field(description="Whether the right labels of bought rows were revealed.")
    bought: int = Field(description="Rows bought.")
    wrong: int | None = Field(description="Wrong labels that the audit found among them; null without an audit.")
    bought_by: dict[str, int] = Field(description="Rows that each query strategy chose.")
    steps: tuple[StepReport, ...] = Field(description="The steps of the purchase.")
    comparison: Comparison | None = Field(description="Comparison with other ways to choose; null if there was none.")
    versions: Versions = Field(description="Versions of the libraries.")

    def __str__(self) -> str:
        lines = [self._purchase(), f"Rows by strategy: {_counted(self.bought_by) or 'none'}.", *self._noise()]
        if self.repeated:
            lines += [
                f"{self.repeated:,} of the {self.trusted_rows:,} trusted rows have the features of a row of the table.",
                "If they are the same rows, take them out of the table, or they are judged by what they taught.",
            ]
        return "\n".join(lines + ([] if self.comparison is None else self._comparison(self.comparison)))

    def _purchase(self) -> str:
        return (
            f"{self.policy} chose {self.bought:,} of {self.table_rows:,} rows in"
            f" {len(self.steps)} {'step' if len(self.steps) == 1 else 'steps'} (budget {self.budget:,})."
        )

    def _noise(self) -> Iterator[str]:
        yield f"Estimated share of wrong labels in the table: {self.noise_rate:.0%}."
        if self.wrong is not None:
            yield f"Wrong labels that the audit found among the rows chosen, and corrected: {self.wrong:,}."

    def _comparison(self, comparison: Comparison) -> list[str]:
        heading = f"{'model fitted on':<{NAME_WIDTH}} {'rows':>7} {'accuracy':>8} {'performance':>11}  advantage"
        return [
            "",
            f"Judged on the {self.trusted_rows:,} trusted rows, by cross-validation in {comparison.folds} folds:",
            "",
            heading,
            *map(_line, comparison.contenders),
            "",
            f"performance: 1 / (1 + log loss). advantage: accuracy of {self.policy}",
            "less that of the line, with its 95 % interval; * marks a corrected p value below 0.05.",
        ]


def _line(one: Contender) -> str:
    numbers = f"{one.rows:>7,.0f} {one.accuracy:>8.3f} {one.performance:>11.3f}"
    name = one.name if len(one.name) <= NAME_WIDTH else f"{one.name[: NAME_WIDTH - 3]}..."
    gap = one.advantage
    if gap is None:
        return f"{name:<{NAME_WIDTH}} {numbers}"
    mark = " *" if gap.significant else ""
    return f"{name:<{NAME_WIDTH}} {numbers}  {gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]{mark}"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
