"""Comparing: policies on the same seeds, their statistics, and the link that makes the comparison again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("selenium", reason="the page is tested with selenium: pip install '.[browser]'")

from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy
from tests.helpers.browsing import SCREENS, Browser
from tests.helpers.serving import Server

pytestmark = pytest.mark.slow

POLICIES = ("probing", "random", "uncertainty")
SEEDS = range(20_300, 20_304)
LINK = f"#compare&task=medium&first=20300&seeds={len(SEEDS)}&policies={','.join(POLICIES)}"
CELLS = "[...document.querySelectorAll('#comparison tr')].map((row) => [...row.children].map((cell) => cell.innerText))"


@pytest.mark.parametrize("screen", SCREENS)
def test_policies_are_compared_seed_by_seed(browser: Browser, server: Server, screen: str) -> None:
    browser.resize(SCREENS[screen])
    browser.driver.get(f"{server.base_url}/{LINK}")
    browser.until("document.getElementById('compare-status').textContent.includes('highest mean grade')")
    scores = {
        policy: [rollout(get_policy(policy), "medium", seed).grade.score for seed in SEEDS] for policy in POLICIES
    }
    for policy in POLICIES:
        drawn = sorted(map(float, browser.data(f".strip[data-policy='{policy}'] [data-score]", "score")))
        assert drawn == sorted(scores[policy])
    rows = browser.driver.execute_script(f"return {CELLS}")
    for row, policy in zip(rows, POLICIES, strict=True):
        assert row[0].strip() == policy
        assert row[1] == interval(scores[policy])
        differences = np.subtract(scores[policy], scores[POLICIES[0]])
        assert row[3] == ("\u2013" if policy == POLICIES[0] else interval(differences, signed=True))
    wide = "document.documentElement.scrollWidth"
    assert browser.driver.execute_script(f"return {wide}") <= SCREENS[screen].width
    assert browser.driver.current_url.endswith(LINK)
    assert browser.complaints() == []


def interval(values: list[float] | np.ndarray, *, signed: bool = False) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    text = f"{np.mean(values):{'+' if signed else ''}.2f} \u00b1 {half:.2f}"
    return text.replace("-", "\u2212")


def test_a_grade_links_to_its_episode_and_back_returns(browser: Browser, server: Server) -> None:
    browser.driver.get(f"{server.base_url}/#compare&task=hard&first=20300&seeds=1&policies=plateau")
    browser.until("document.getElementById('compare-status').textContent.includes('highest mean grade')")
    browser.driver.execute_script("document.querySelector('#seeds-table a').click()")
    browser.until("!document.getElementById('result').hidden")
    assert float(browser.data("#score", "value")[0]) == rollout(get_policy("plateau"), "hard", 20_300).grade.score
    browser.driver.back()
    browser.until("!document.getElementById('compare').hidden")
    assert browser.text("compare-title") == "hard, seed 20300"


def test_results_come_one_by_one_and_can_be_stopped(browser: Browser, server: Server) -> None:
    browser.driver.get(f"{server.base_url}/{LINK.replace('seeds=4', 'seeds=50')}")
    browser.until("document.querySelectorAll('#strips [data-score]').length > 2")
    browser.click("compare-stop")
    browser.until("document.getElementById('compare-status').dataset.kind === ''")
    assert 2 < len(browser.data("#strips [data-score]", "score")) < 150


@pytest.mark.parametrize(
    ("fragment", "said"),
    [
        ("#compare&task=brutal&first=1&seeds=1&policies=random", "there are easy, medium, hard"),
        ("#compare&task=easy&first=1&seeds=51&policies=random", "from 1 to 50"),
        ("#compare&task=easy&first=1&seeds=1&policies=cheat", "unknown policy: cheat"),
    ],
)
def test_a_link_that_makes_no_sense_is_reported(browser: Browser, server: Server, fragment: str, said: str) -> None:
    browser.driver.get(f"{server.base_url}/{fragment}")
    browser.until(f"document.getElementById('status').textContent.includes('{said}')")


def test_quantiles_are_those_of_student(browser: Browser) -> None:
    script = "const done = arguments[0]; import('/web/statistics.js').then(({ quantile }) => "
    found = browser.driver.execute_async_script(
        f"{script} done(Array.from({{ length: 60 }}, (_, n) => quantile(n + 1))))"
    )
    assert found == pytest.approx(stats.t.ppf(0.975, np.arange(1, 61)), rel=2e-3)
