"""The file of a person's answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataselect_env.curation.answers import Answers
from dataselect_env.evaluation.line_file import JournalError

FACTS = {"files": "abc", "budget": 20}


def test_answers_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Answers(path, FACTS) as answers:
        answers.keep(7, "ant")
        answers.keep(3, "bee")
    with Answers(path, FACTS) as answers:
        assert (len(answers), answers.get(7), answers.get(3), answers.get(4)) == (2, "ant", "bee", None)
        answers.keep(4, "cow")
    with Answers(path, FACTS) as answers:
        assert answers.get(4) == "cow"


def test_each_answer_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Answers(path, FACTS) as answers:
        answers.keep(7, "ant")
        assert path.read_text().splitlines()[1:] == ['{"row":7,"label":"ant"}']


def test_an_incomplete_line_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Answers(path, FACTS) as answers:
        answers.keep(7, "ant")
    with path.open("a") as file:
        file.write('{"row":8,"la')
    with Answers(path, FACTS) as answers:
        assert answers.get(8) is None
        answers.keep(9, "bee")
    with Answers(path, FACTS) as answers:
        assert (answers.get(7), answers.get(9)) == ("ant", "bee")


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Answers(path, FACTS):
        pass
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"a.jsonl is of another curation: other budget, seed\. Choose another file"):
        Answers(path, {**FACTS, "budget": 30, "seed": 1})
    assert path.read_bytes() == before
    for text, words in (("notes", "is not a file of a curation"), ("notes\n", "line 1: not a line of a curation")):
        path.write_text(text)
        with pytest.raises(JournalError, match=words):
            Answers(path, FACTS)
        assert path.read_text() == text
