"""bench/reliability: the page is made from the results, and tells where they fall short."""

import copy
import re
from typing import Any

import pytest

from bench.reliability import page
from dataselect_env.core.tasks import DYNAMICS_VERSION


def test_the_page_is_rendered_from_the_results() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.rendered(text, page.load()) == text
    assert set(re.findall(r"<!-- rendered: (\w+) -->", text)) == {"goals", "versions", *page.SCRIPTS}
    assert set(page.SCRIPTS) == set(page.RENDERERS) == set(page.VERDICTS)


@pytest.mark.parametrize(("name", "results"), page.load().items())
def test_results_are_of_these_dynamics_and_their_problems_would_be_told(name: str, results: dict[str, Any]) -> None:
    assert results["versions"]["dynamics"] == DYNAMICS_VERSION
    assert results["problems"] == len(results["first_problems"]) == 0
    troubled = {**copy.deepcopy(results), "problems": 3}
    assert "falls short" in str(list(page.VERDICTS[name](troubled)))
