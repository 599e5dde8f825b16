"""Explanations: numbers that add up, code that plays the same, files that hold what is shown."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("selenium", reason="the page is tested with selenium: pip install '.[browser]'")

from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy
from tests.helpers.browsing import PHONE, Browser, buy, start
from tests.helpers.serving import Server

pytestmark = pytest.mark.slow


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").replace("+", ""))


def value_of(formula: str) -> float:
    """Return the value of a formula as the page writes it, up to the first word."""
    plain = re.split(r",|[a-z]", formula.replace("\u2212", "-").replace("\u00d7", "*"))[0]
    return float(eval(plain))  # noqa: S307  (it is the page's)


def terms(browser: Browser) -> list[list[str]]:
    cells = "[...row.children].map((cell) => cell.textContent)"
    rows = f"[...document.querySelectorAll('.term-table tr')].map((row) => {cells})"
    return list(browser.driver.execute_script(f"return {rows}"))


def finish(browser: Browser, task_id: str, seed: int) -> None:
    start(browser, task_id, seed)
    browser.find("policy").send_keys("probing")
    browser.click("run")
    browser.until("!document.getElementById('result').hidden")


@pytest.mark.parametrize("task_id", ["easy", "medium", "hard"])
def test_the_terms_of_a_reward_follow_from_their_formulas_and_add_up(browser: Browser, task_id: str) -> None:
    start(browser, task_id, 20_303)
    buy(browser, 20, uncertainty=1, random=1)
    found = terms(browser)
    assert [name for name, *_ in found][:2] == ["performance gain", "diversity bonus"]
    for name, formula, value in found:
        if name != "baseline":
            assert value_of(formula) == pytest.approx(number(value), abs=0.011), name
    total = number(browser.data("#play-view .bar", "reward")[0])
    assert sum(number(value) for *_, value in found) == pytest.approx(total, abs=0.04)


@pytest.mark.parametrize("task_id", ["easy", "medium", "hard"])
def test_a_grade_is_a_sum_that_holds(browser: Browser, task_id: str) -> None:
    finish(browser, task_id, 20_304)
    grade = rollout(get_policy("probing"), task_id, 20_304).grade
    left, right = browser.text("formula").split(" = ")
    assert number(right) == pytest.approx(grade.score, abs=0.006)
    assert value_of(left) == pytest.approx(grade.score, abs=0.011)
    assert browser.text("why-passed").startswith("Passed" if grade.passed else "Not passed")
    # after the end the accuracy stands beside the performance
    assert re.search(r"accuracy \d+", browser.driver.find_element(By.CSS_SELECTOR, ".facts").text)


def test_a_low_grade_that_passes_is_explained(browser: Browser) -> None:
    text = "Passing is a threshold of its own"
    script = """
        const [score, passed, done] = arguments;
        const grade = { passed, score, breakdown: { performance: 0.6, avg_noise_ratio: 0.2 } };
        const task = { pass_performance: 0.52, pass_noise: 0.5 };
        import("/web/explain.js").then(({ passedText }) => done(passedText(grade, task)));
    """
    said = {
        (score, passed): browser.driver.execute_async_script(script, score, passed)
        for score in (0.29, 0.8)
        for passed in (True, False)
    }
    assert [key for key, sentence in said.items() if text in sentence] == [(0.29, True), (0.8, False)]


@pytest.mark.parametrize("way", ["hover", "focus", "tap"])
def test_performance_is_explained_on_demand(browser: Browser, way: str) -> None:
    fact = browser.driver.find_element(By.CSS_SELECTOR, "[data-part=performanceFact]")
    assert not browser.find("tip").is_displayed()
    if way == "hover":
        ActionChains(browser.driver).move_to_element(fact).perform()
    elif way == "focus":
        browser.driver.execute_script("arguments[0].focus()", fact)
    else:
        browser.resize(PHONE)
        fact.click()
    browser.until("!document.getElementById('tip').hidden")
    assert "1 / (1 + log loss)" in browser.text("tip")
    assert fact.get_attribute("aria-describedby") == "tip"
    fact.send_keys(Keys.ESCAPE) if way == "focus" else ActionChains(browser.driver).send_keys(Keys.ESCAPE).perform()
    browser.until("document.getElementById('tip').hidden")


def choose_code(browser: Browser, kind: str) -> str:
    browser.driver.execute_script("document.getElementById('code-details').open = true")
    Select(browser.find("code-kind")).select_by_visible_text(kind)
    browser.until("document.getElementById('code').textContent !== ''")
    return browser.text("code")


def test_the_code_plays_the_episode_again(browser: Browser, server: Server, tmp_path: Path) -> None:
    finish(browser, "hard", 20_305)
    score = browser.data("#score", "value")[0]
    python = choose_code(browser, "whole episode in Python")
    printed = subprocess.run(
        [sys.executable, "-c", python], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert f"score={score} " in printed
    curl = choose_code(browser, "whole episode with curl").replace("curl -s", "curl -s --noproxy '*'")
    answers = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True).stdout
    assert f'"score":{score}' in answers
    request, reply = choose_code(browser, "last request and reply").split("\n\n")
    assert json.loads(request)["type"] == "step"
    assert str(json.loads(reply)["info"]["grade"]["score"]) == score


@pytest.fixture
def downloads(browser: Browser, tmp_path: Path) -> Path:
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    return tmp_path


def download(browser: Browser, folder: Path, name: str) -> bytes:
    browser.driver.execute_script("document.getElementById('code-details').open = true")
    button = browser.driver.find_element(By.CSS_SELECTOR, f"[data-file='{name}']")
    browser.driver.execute_script("arguments[0].click()", button)
    kind, _, part = name.partition(" ")
    wanted = folder / f"medium-20306.{part + '.' if part else ''}{kind}"
    browser.until_true(lambda: wanted.is_file() and wanted.stat().st_size > 0)
    return wanted.read_bytes()


def test_steps_and_pictures_are_files(browser: Browser, downloads: Path) -> None:
    finish(browser, "medium", 20_306)
    steps = int(browser.find("history").get_attribute("max") or 0)
    rows = list(csv.DictReader(io.StringIO(download(browser, downloads, "csv").decode())))
    lines = [json.loads(line) for line in download(browser, downloads, "jsonl").splitlines()]
    assert len(rows) == len(lines) == steps + 1
    drawn = [float(value) for value in browser.data("#play-view .dot", "value")]
    assert [float(row["performance"]) for row in rows] == drawn == [line["performance"] for line in lines]
    for part in ("performance", "rewards", "scatter"):
        chart = ElementTree.fromstring(download(browser, downloads, f"svg {part}"))  # noqa: S314
        image = Image.open(io.BytesIO(download(browser, downloads, f"png {part}")))
        width, height = map(float, chart.attrib["viewBox"].split()[2:])
        assert image.size == (int(2 * width), int(2 * height))
        assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 20
        assert "class=" not in ElementTree.tostring(chart, encoding="unicode")
    assert browser.complaints() == []


def test_a_picture_looks_like_the_chart(browser: Browser, downloads: Path) -> None:
    """The page draws PNG files mark by mark; they are compared with what the browser draws of the same chart."""
    finish(browser, "medium", 20_306)
    for part in ("performance", "rewards"):
        ours = Image.open(io.BytesIO(download(browser, downloads, f"png {part}"))).convert("L")
        chart = browser.driver.find_element(By.CSS_SELECTOR, f"#play-view [data-part={part}] svg")
        browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
        theirs = Image.open(io.BytesIO(base64.b64decode(chart.screenshot_as_base64))).convert("L")
        small = (200, 80)
        pairs = zip(ours.resize(small).tobytes(), theirs.resize(small).tobytes(), strict=True)
        assert sum(abs(one - other) for one, other in pairs) / (200 * 80) < 6
