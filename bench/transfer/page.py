"""Render README.md and its picture from exam.jsonl: ``python -m bench.transfer.page``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from bench.transfer import open_constant
from bench.transfer.contenders import CONTENDERS, OPEN_CONSTANT, OWN_CONSTANT, SUBJECT
from bench.transfer.exam import RESULTS, Record, read
from bench.transfer.problems import SYNTHETIC
from bench.transfer.standings import BOTH, Standings
from dataselect_env.evaluation.statistics import Difference, Interval, corrected, difference, mean_interval
from dataselect_env.rendering import palette
from docs.render import MARKED, table

HERE = Path(__file__).parent
PAGE, PICTURE = HERE / "README.md", HERE / "transfer.png"
YARDSTICK = "yardstick"
COLOURS = {
    "rule": palette.GREY,
    "peer": palette.SKY_BLUE,
    "learned": palette.VERMILION,
    "constant": palette.PURPLE,
    YARDSTICK: palette.GREEN,
}
ON_QUESTIONS = (
    SUBJECT,
    "random",
    "uncertainty",
    "held_out_uncertainty",
    "confident_random",
    "cleanlab_random",
    OPEN_CONSTANT,
    "oracle",
)


@cache
def standings() -> Standings:
    """Return the standings of the results file."""
    return Standings.of(read(RESULTS))


def about() -> Record:
    """Return what the exam was played with."""
    (facts,) = [record["versions"] for record in read(RESULTS) if "versions" in record]
    return dict(facts)


def interval(found: Interval) -> str:
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"


def gap(found: Difference) -> str:
    """Return a difference with its interval, and a star if it is significant."""
    return f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f}){' *' if found.significant else ''}"


def ordered(exam: Standings) -> list[str]:
    """Return the contenders by mean grade, the yardsticks last."""
    return sorted(exam.contenders, key=lambda name: (CONTENDERS[name].kind == YARDSTICK, -exam.mean(name).mean))


def summary() -> str:
    """Return the mean grades by kind of noise."""
    exam = standings()
    rows = []
    for name in ordered(exam):
        cells = [f"{exam.mean(name, (kind,)).mean:.2f}" for kind in SYNTHETIC]
        rows.append((f"`{name}`", CONTENDERS[name].tuned_on, *cells, interval(exam.mean(name))))
    return table(f"policy | tuned on | {' | '.join(SYNTHETIC)} | all", rows)


def differences() -> str:
    """Return the differences of the subject to all others: together, audited, and not."""
    exam = standings()
    others = [name for name in ordered(exam) if name != SUBJECT]
    found = [exam.differences(SUBJECT, others, audits=audits) for audits in (BOTH, (True,), (False,))]
    rows = ((f"`{name}`", *(gap(of[name]) for of in found), f"{found[0][name].p_corrected:.2g}") for name in others)
    return table("less | all | audited | not audited | p of all", rows)


def by_table() -> str:
    """Return mean grades by table."""
    exam = standings()
    shown = dict.fromkeys((SUBJECT, exam.best_rule(), OPEN_CONSTANT, "random", OWN_CONSTANT, "oracle"))
    means = {name: exam.by_table(name) for name in shown if name in exam.contenders}
    rows = ((table_name, *(f"{of[table_name]:.2f}" for of in means.values())) for table_name in exam.tables)
    return table(f"table | {' | '.join(f'`{name}`' for name in means)}", rows)


def people() -> str:
    """Return mean grades on labels given by people, with 95 % intervals over seeds."""
    exam = standings()
    names = [name for name in ordered(exam) if name in ON_QUESTIONS]
    columns = []
    for question in exam.questions:
        grades = {name: exam.on_question(name, question) for name in names}
        gaps = corrected([difference(grades[name], grades["random"]) for name in names])
        columns.append([interval(mean_interval(grades[name])) for name in names])
        columns.append(["" if name == "random" else gap(one) for name, one in zip(names, gaps, strict=True)])
    rows = zip((f"`{name}`" for name in names), *columns, strict=True)
    return table(f"policy | {' | '.join(f'{question} | less random' for question in exam.questions)}", rows)


def verdict() -> str:
    """Return in one sentence how the subject compares."""
    exam = standings()
    rules = [name for name in exam.contenders if CONTENDERS[name].kind == "rule"]
    best, found = exam.best_rule(), exam.differences(SUBJECT, rules)
    above = sum(one.significant and one.mean > 0 for one in found.values())
    return (
        f"`{SUBJECT}` has a mean grade of {exam.mean(SUBJECT).mean:.3f}, the best fixed rule in hindsight, `{best}`,"
        f" {exam.mean(best).mean:.3f}, random sampling {exam.mean('random').mean:.3f}. It is significantly above"
        f" {above} of {len(rules)} fixed rules.\n"
    )


def facts() -> str:
    """Return which tables were played, what was left out, and on what machine."""
    exam, of = standings(), about()
    left_out = "".join(f" `{name}` is left out: {reason}." for name, reason in exam.left_out.items())
    machine = (
        f"{of['processor']}; Python {of['python']}, numpy {of['numpy']}, scikit-learn {of['scikit-learn']}, cleanlab"
        f" {of['cleanlab']}."
    )
    return (
        f"{len(exam.tables)} tables, {exam.seeds} seeds each: {', '.join(exam.tables)}.{left_out} `{OPEN_CONSTANT}` is"
        f" `{open_constant.chosen().name}`.\n\n{machine}\n"
    )


RENDERERS: dict[str, Callable[[], str]] = {
    "verdict": verdict,
    "summary": summary,
    "differences": differences,
    "by_table": by_table,
    "people": people,
    "facts": facts,
}


def rendered(text: str) -> str:
    """Return the page with up-to-date tables."""
    return MARKED.sub(lambda found: f"{found[1]}{RENDERERS[found[2]]()}{found[3]}", text)


def draw() -> None:
    """Draw the differences of the subject to all others, one panel per kind of noise and one for all."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (the tables do without)

    exam = standings()
    names = [name for name in ordered(exam) if name != SUBJECT][::-1]
    figure = Figure(figsize=(11, 9), layout="constrained")
    panels = {"all": SYNTHETIC, **{kind: (kind,) for kind in SYNTHETIC}}
    for ax, (title, kinds) in zip(figure.subplots(2, 3, sharex=True, sharey=True).flat, panels.items(), strict=True):
        for height, (name, found) in enumerate(exam.differences(SUBJECT, names, kinds).items()):
            colour = COLOURS[CONTENDERS[name].kind]
            ax.plot([found.low, found.high], [height] * 2, color=colour, linewidth=2)
            ax.plot(found.mean, height, "o", color=colour, markersize=4.5)
        ax.axvline(0, color=palette.NOTE, linewidth=0.8)
        ax.set_title(title, loc="left", fontsize=10, fontweight="bold")
        ax.set_yticks(range(len(names)), names, fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="x", color=palette.FAINT, linewidth=0.7)
    colours = "grey: rules, blue: cleanlab, orange: learned, purple: constant, green: yardsticks"
    figure.supxlabel(f"grade of {SUBJECT} less that of another, 95 % intervals over tables; {colours}", fontsize=9)
    figure.savefig(PICTURE, dpi=100, metadata={"Software": None})


def main() -> None:
    """Write the page and the picture."""
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw()


if __name__ == "__main__":
    main()
