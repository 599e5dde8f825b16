"""The command curate: what it reads, writes, asks and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from dataselect_env import cli
from dataselect_env.cli import curate_command
from dataselect_env.curation import CurationReport, curate
from dataselect_env.curation.curating import DEFAULT_POLICY
from tests.helpers.curating import noisy

DATA = noisy()
TABLE = DATA.X.assign(label=DATA.y, right=DATA.right, id=[f"{place:04d}" for place in range(len(DATA.y))])
TRUSTED = DATA.X_trusted.assign(label=DATA.y_trusted)
FILES = ("--data", "pool.csv", "--target", "label", "--trusted", "trusted.csv")
QUICK = (*FILES, "--budget", "20", "--steps", "2", "--no-compare", "--id", "id")
EVEN = (*QUICK, "--policy", "held_out_uncertainty")
"""Batches of the same size."""
PLAIN = (*QUICK, "--exclude", "right")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a folder with the two files."""
    monkeypatch.chdir(tmp_path)
    TABLE.to_csv("pool.csv", index=False)
    TRUSTED.to_csv("trusted.csv", index=False)


def run(*arguments: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(cli.main, ["curate", *arguments], input=answers)


def done(*arguments: str, answers: str | None = None) -> Result:
    result = run(*arguments, answers=answers)
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments: str) -> str:
    """Run with a mistake; return the sentence that answers it."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.stderr.partition("Error: ")[2].split())


def chosen(path: str = "chosen.csv") -> pd.DataFrame:
    return pd.read_csv(path, dtype={"id": str})


# --- what it does ---------------------------------------------------------------------------------------------------


def test_it_writes_the_rows_the_report_the_picture_and_the_model() -> None:
    outputs = ("--out", "rows.csv", "--report", "r.json", "--picture", "p.svg", "--model", "m.joblib")
    result = done(*FILES, "--budget", "20", "--steps", "2", "--id", "id", "--exclude", "right", *outputs)
    report = CurationReport.model_validate_json(Path("r.json").read_text())
    assert result.stdout == f"{report}\n"
    assert "Wrote rows.csv, r.json, p.svg, m.joblib." in result.stderr
    assert 'pool.csv (separated by commas): 400 rows, 3 classes in "label", 6 numbers.' in result.stderr
    assert report.comparison is not None
    assert Path("p.svg").stat().st_size > 1_000
    assert joblib.load("m.joblib").score(DATA.X_test, DATA.y_test) > 0.8
    rows = chosen("rows.csv")
    assert list(rows)[:6] == ["row", "id", "step", "strategy", "suspicion", "label"]
    assert len(rows) == report.bought == 20


def test_it_chooses_as_the_function_does() -> None:
    done(*PLAIN)
    curation = curate(*DATA.arguments, budget=20, steps=2, compare_with_others=False)
    rows = chosen()
    assert rows["row"].tolist() == curation.rows.tolist()
    assert rows["id"].tolist() == [f"{row:04d}" for row in curation.rows]
    assert rows["label"].tolist() == DATA.y[curation.rows].tolist()
    assert rows["label (table)"].tolist() == rows["label"].tolist()
    assert rows["x3"].tolist() == pytest.approx(DATA.X["x3"].iloc[curation.rows].tolist())
    assert DEFAULT_POLICY == curate_command.DEFAULT_POLICY


def test_options_reach_the_function() -> None:
    done(*PLAIN, "--policy", "random", "--seed", "3", "--noise", "0.1", "--report", "r.json", "--columns", "x0,x1,x2")
    report = CurationReport.model_validate_json(Path("r.json").read_text())
    facts = (report.policy, report.seed, report.noise_rate, report.features, report.budget, report.max_steps)
    assert facts == ("random", 3, 0.1, 3, 20, 2)


def test_trusted_rows_may_be_marked_in_the_table_itself() -> None:
    marked = pd.concat([TRUSTED.assign(sure="Yes"), TABLE.drop(columns="right").assign(sure="")])
    marked.assign(id=[f"i{place}" for place in range(len(marked))]).to_csv("one.csv", index=False)
    done("--data", "one.csv", "--target", "label", "--trusted-column", "sure", *QUICK[6:])
    marked_rows = chosen()
    done(*PLAIN)
    assert marked_rows["row"].tolist() == [row + 40 for row in chosen()["row"]]  # positions in the file
    assert marked_rows["id"].tolist() == [f"i{row}" for row in marked_rows["row"]]


def test_table_and_trusted_rows_may_be_sheets_of_one_file() -> None:
    with pd.ExcelWriter("all.xlsx") as book:
        pd.DataFrame({"note": ["read me"]}).to_excel(book, sheet_name="About", index=False)
        TABLE.to_excel(book, sheet_name="Pool", index=False)
        TRUSTED.to_excel(book, sheet_name="Checked", index=False)
    sheets = ("--data", "all.xlsx", "--sheet", "Pool", "--trusted", "all.xlsx", "--trusted-sheet", "Checked")
    options = ("--target", "label", *PLAIN[len(FILES) :])
    result = done(*sheets, *options)
    rows = chosen()
    assert 'all.xlsx (sheet "Pool"): 400 rows' in result.stderr
    assert f'Trusted rows: all.xlsx (sheet "Checked"), {len(TRUSTED)} rows.' in result.stderr
    done(*PLAIN)
    assert rows["id"].tolist() == chosen()["id"].tolist()
    assert refused(*sheets[:3], "pool", *sheets[4:], *options).startswith('--sheet: all.xlsx has no sheet "pool"')
    assert refused(*sheets[:7], "x", *options).startswith('--trusted-sheet: all.xlsx has no sheet "x"')
    marked = ("--data", "pool.csv", "--trusted-column", "right", "--trusted-sheet", "Checked", *options)
    assert refused(*marked) == "--trusted-sheet: only together with --trusted"


def test_what_was_made_of_the_table_is_told() -> None:
    TABLE.assign(code=[f"00{place % 7}" for place in range(len(TABLE))]).to_csv("pool.csv", index=False, sep=";")
    TRUSTED.assign(code=1).to_csv("trusted.csv", index=False)
    told = done(*PLAIN).stderr
    assert "pool.csv (separated by semicolons): 400 rows" in told
    assert 'read "code": "000" as 0.' in told
    assert f"Trusted rows: trusted.csv (separated by commas), {len(TRUSTED)} rows." in told


def test_an_audit_column_corrects_what_was_chosen() -> None:
    result = done(*QUICK, "--audit-column", "right")
    rows = chosen()
    assert rows["label"].tolist() == rows["right"].tolist()
    assert rows["given"].tolist() == rows["label (table)"].tolist()
    assert rows["wrong"].tolist() == DATA.wrong[rows["row"]].tolist()
    assert f"and corrected: {rows['wrong'].sum()}." in result.stdout


def test_a_policy_of_ones_own_from_the_working_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path("mine_curating.py").write_text(
        "from dataselect_env.policies import Action\n\n\n"
        "def thrifty(task, rng):\n    '''Buys five.'''\n    left = iter([Action.select(5, random=1), Action.stop()])\n"
        "    return lambda reply: next(left)\n\n\n"
        "def broken(task, rng):\n    return lambda reply: 1 / 0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    done(*PLAIN, "--policy", "mine_curating:thrifty")
    assert chosen()["strategy"].tolist() == ["random"] * 5
    assert "policy mine_curating:broken failed in" in refused(*PLAIN, "--policy", "mine_curating:broken")


def test_words_of_labels_that_look_like_missing_cells() -> None:
    TABLE.replace({"label": {"ant": "None"}}).to_csv("pool.csv", index=False)
    TRUSTED.replace({"label": {"ant": "None"}}).to_csv("trusted.csv", index=False)
    assert "is missing" in refused(*PLAIN)
    done(*PLAIN, "--classes", "None,bee,cow")
    assert set(pd.read_csv("chosen.csv", keep_default_na=False)["label"]) == {"None", "bee", "cow"}


@pytest.mark.parametrize(
    ("written", "predicted"), [({"ant": 1, "bee": 2, "cow": 10}, [1, 2, 10]), ({"ant": "01"}, ["01", "bee", "cow"])]
)
def test_labels_that_are_whole_numbers_are_numbers_in_the_model(written: dict[str, Any], predicted: list[Any]) -> None:
    TABLE.assign(label=TABLE["label"].map(lambda name: written.get(name, name))).to_csv("pool.csv", index=False)
    TRUSTED.assign(label=TRUSTED["label"].map(lambda name: written.get(name, name))).to_csv("trusted.csv", index=False)
    done(*PLAIN, "--model", "m.joblib")
    assert joblib.load("m.joblib").classes_.tolist() == predicted


def test_trusted_rows_that_are_in_the_table_too_are_left_out_by_their_names() -> None:
    named = pd.concat([TABLE.iloc[:5], TRUSTED.assign(id=[f"{place:04d}" for place in range(900, 940)])])
    named.to_csv("trusted.csv", index=False)
    result = done(*PLAIN, "--budget", "395", "--report", "r.json")
    assert "Left out of the choice, because --id finds them among the trusted rows: 5 rows." in result.stderr
    assert sorted(chosen()["row"]) == list(range(5, 400))
    assert CurationReport.model_validate_json(Path("r.json").read_text()).repeated == 0
    unnamed = done(*PLAIN[:-4], "--exclude", "right,id")
    assert "5 of the 45 trusted rows have the features of a row of the table." in unnamed.stdout


# --- asking ---------------------------------------------------------------------------------------------------------


def right_answers(rows: Any) -> str:
    return "".join(f"{DATA.right[row]}\n" for row in rows)


def test_a_person_is_asked_for_each_label_and_can_go_on_later() -> None:
    done(*EVEN, "--audit-column", "right")
    audited = chosen()
    order = audited["row"].tolist()
    ask = (*EVEN, "--exclude", "right", "--ask")
    stopped = run(*ask, answers=right_answers(order[:7]))
    assert stopped.exit_code == 130
    assert "chosen.answers.jsonl keeps the 7 answers; run the same command again to continue." in stopped.stderr
    assert len(Path("chosen.answers.jsonl").read_text().splitlines()) == 8
    resumed = done(*ask, answers=right_answers(order[7:]))
    assert "7 of 10 rows of this batch are answered already." in resumed.stdout
    pd.testing.assert_frame_equal(chosen(), audited)
    again = done(*ask)
    assert "Right label" not in again.stdout
    pd.testing.assert_frame_equal(chosen(), audited)


def test_a_question_shows_the_row_and_takes_the_given_label_for_enter() -> None:
    TABLE.assign(count=[place % 7 for place in range(len(TABLE))]).to_csv("pool.csv", index=False)
    result = done(*EVEN, "--exclude", "right,count", "--ask", answers="\n" * 20)
    first = chosen().iloc[0]
    assert f"Row {first['row']}, {first['id']} (1 of 10 in this batch)" in result.stdout
    assert f"right: {first['right']}\n" in result.stdout  # excluded columns are shown, too
    assert f"count: {first['count']}\n" in result.stdout  # whole numbers as such
    assert f"Right label (ant, bee, cow) [{first['label']}]" in result.stdout
    assert "and corrected: 0." in result.stdout
    assert not chosen()["wrong"].any()


def test_an_answer_that_is_no_class_is_asked_for_again() -> None:
    result = run(*QUICK, "--exclude", "right", "--ask", "--answers", "a.jsonl", answers="eel\nant\n")
    assert "'eel' is not one of" in result.stdout + result.stderr
    assert [line for line in Path("a.jsonl").read_text().splitlines()[1:] if '"ant"' in line]


def test_answers_of_another_curation_are_not_used() -> None:
    run(*QUICK, "--exclude", "right", "--ask", answers="ant\n")
    sentence = refused(*QUICK, "--exclude", "right", "--ask", "--seed", "5")
    assert sentence == "chosen.answers.jsonl is of another curation: other seed. Choose another file"
    TABLE.iloc[:-1].to_csv("pool.csv", index=False)
    assert "other files" in refused(*QUICK, "--exclude", "right", "--ask")


def test_a_wide_row_is_shown_in_part() -> None:
    wide = {f"w{place}": 0.5 for place in range(30)}
    notes = [f"{'long ' * 200}{place}" for place in range(len(TABLE))]
    TABLE.assign(**wide, note=notes).to_csv("pool.csv", index=False)
    TRUSTED.assign(**wide).to_csv("trusted.csv", index=False)
    result = run(*QUICK, "--exclude", "right,note", "--ask", answers="")
    assert "and 18 more columns" in result.stdout
    assert max(map(len, result.stdout.splitlines())) < 450


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "no.csv", *QUICK[2:]), "--data: there is no file no.csv"),
        ((*QUICK[:4], "--trusted", "no.csv", *QUICK[6:]), "--trusted: there is no file no.csv"),
        ((*PLAIN, "--trusted-column", "id"), "--trusted: give either this file or --trusted-column"),
        ((*QUICK[:4], *QUICK[6:]), "--trusted: give either this file or --trusted-column"),
        ((*QUICK, "--audit-column", "right", "--ask"), "--ask: not together with --audit-column"),
        ((*QUICK, "--no-compare", "--ray", "local"), "--ray: is for the comparison"),
        ((*QUICK, "--ask", "--ray", "local"), "--ray: is for the comparison"),
        (
            (*QUICK, "--exclude", "rihgt"),
            'pool.csv has no column "rihgt", which --exclude names. Did you mean "right"?',
        ),
        ((*PLAIN, "--audit-column", "truth"), 'has no column "truth", which --audit-column names.'),
        (("--data", "pool.csv", "--target", "lable", *QUICK[4:]), 'no column "lable", which --target names.'),
        ((*QUICK[:4], "--trusted-column", "x1", *QUICK[6:]), '--trusted-column: "x1" holds'),
        ((*PLAIN, "--budget", "401"), "--budget: 401 exceeds the 400 rows of the table"),
        ((*PLAIN, "--noise", "0.7"), "--noise: should lie in [0, 0.5), not 0.7"),
        ((*PLAIN, "--policy", "oracle"), "--policy: oracle sees hidden labels"),
        ((*PLAIN, "--policy", "clever"), "--policy: there is no policy 'clever'"),
        ((*PLAIN, "--classes", "ant,bee"), '--classes: the labels "cow" are none of the classes'),
        ((*PLAIN, "--picture", "p.gif"), "--picture: p.gif should end in one of .png"),
        ((*PLAIN, "--out", "nowhere/rows.csv"), "--out: nowhere/rows.csv cannot be written"),
        ((*PLAIN, "--out", "pool.csv"), "--out: pool.csv is the file of --data already; name another one"),
        ((*PLAIN, "--model", "trusted.csv"), "--model: trusted.csv is the file of --trusted already"),
        ((*PLAIN, "--report", "a.csv", "--out", "./a.csv"), "--report: a.csv is the file of --out already"),
        (QUICK[:-2], '--exclude: Column "id" numbers the rows'),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], words: str) -> None:
    if arguments == QUICK[:-2]:
        TABLE.assign(id=range(400)).to_csv("pool.csv", index=False)
    assert words in refused(*arguments)
    assert not Path("chosen.csv").exists()


@pytest.mark.parametrize(
    ("trusted", "words"),
    [
        (TRUSTED.groupby("label").head(3), "--trusted: 9 trusted rows are too few; at least 12 are needed"),
        (TRUSTED[TRUSTED["label"] != "ant"], '--trusted: has no row of "ant", which the table has.'),
        (TRUSTED.drop(columns="x2"), '--trusted: The rows lack columns that are features: "x2"'),
        (TRUSTED.drop(columns="label"), '--trusted: trusted.csv has no column "label", which --target names'),
        (TRUSTED.assign(x2="many"), '--trusted: Column "x2" holds numbers in the table, but "many" in these rows.'),
        (TRUSTED.iloc[:0], "--trusted: trusted.csv has no rows"),
    ],
)
def test_trusted_rows_that_cannot_be_used(trusted: pd.DataFrame, words: str) -> None:
    trusted.to_csv("trusted.csv", index=False)
    assert words in refused(*PLAIN)
