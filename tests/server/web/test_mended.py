"""What went wrong once: each test plays what somebody did, and fails if it happens again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.datasets import make_classification

pytest.importorskip("selenium", reason="the page is tested with selenium: pip install '.[browser]'")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.helpers.browsing import LAPTOP, PHONE, SCREENS, Browser, buy, start, steps_are, usable
from tests.helpers.serving import Server, running_server

pytestmark = pytest.mark.slow

STATUS = "document.getElementById('status').textContent"
OWN_TASKS = """
tasks:
  small: {table: {bundled: wine}, noise: {uniform: 0.2}, budget: 40, max_steps: 4, strategies: [margin]}
  large:
    {table: {file: large.csv, target: label}, noise: {uniform: 0.2}, budget: 40, max_steps: 4,
     score: {performance_range: [0.5, 0.7]}}
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("tasks")
    (folder / "tasks.yaml").write_text(OWN_TASKS, encoding="utf-8")
    X, y = make_classification(3_000, 30, n_informative=12, class_sep=0.6, flip_y=0.0, random_state=0)
    lines = [",".join(map(str, [*row.round(3), "ab"[label]])) for row, label in zip(X, y, strict=True)]
    head = ",".join([*(f"x{place}" for place in range(X.shape[1])), "label"])
    (folder / "large.csv").write_text("\n".join([head, *lines]), encoding="utf-8")
    with running_server(env={"DATASELECT_TASKS": str(folder / "tasks.yaml")}, cwd=folder) as server:
        yield server


@pytest.fixture
def own_page(running: Browser, own: Server) -> Iterator[Browser]:
    running.resize(LAPTOP)
    running.driver.get("about:blank")
    running.driver.get(own.base_url)
    running.until("document.querySelectorAll('#play-view .pool circle').length > 0")
    yield running
    running.driver.get("about:blank")


def test_a_large_pool_is_drawn_by_a_sample_with_every_purchase(own_page: Browser) -> None:
    start(own_page, "large", 5)
    own_page.until("document.querySelectorAll('#play-view .pool circle').length === 2000")
    buy(own_page, 20, random=1)
    assert len(own_page.data("#play-view .bought", "sample")) == 20
    start(own_page, "small", 5)
    own_page.until("document.querySelectorAll('#play-view .pool circle').length < 200")


def test_every_strategy_of_a_task_has_a_slider(own_page: Browser) -> None:
    assert not own_page.find("extra").is_displayed()
    start(own_page, "small", 5)
    own_page.driver.execute_script("document.getElementById('extra').open = true")
    own_page.find("weight-margin").send_keys(Keys.END)
    for name in ("uncertainty", "diversity", "random"):
        own_page.find(f"weight-{name}").send_keys(Keys.HOME)
    own_page.click("buy")
    own_page.until(steps_are(1))
    assert set(own_page.data("#play-view .bought", "by")) == {"margin"}
    assert own_page.driver.current_url.endswith("_0_0_0_10")
    own_page.driver.refresh()
    own_page.until(f"{steps_are(1)} && document.querySelectorAll('#play-view .bought').length > 0")
    assert set(own_page.data("#play-view .bought", "by")) == {"margin"}


def test_enter_keeps_the_focus(browser: Browser) -> None:
    button = browser.find("buy")
    for count in (1, 2, 3):
        browser.until(usable("buy"))
        button.send_keys(Keys.ENTER)
        browser.until(steps_are(count))
        assert browser.driver.switch_to.active_element == button


def test_a_changed_selector_leaves_the_episode_alone(browser: Browser) -> None:
    buy(browser, 10, random=1)
    Select(browser.find("task")).select_by_value("hard")
    Select(browser.find("split")).select_by_value("test")
    browser.click("draw-seed")
    assert browser.find("history").get_attribute("max") == "1"
    assert "#task=medium&seed=7" in browser.driver.current_url
    buy(browser, 10, random=1)
    assert browser.find("history").get_attribute("max") == "2"


def test_reload_and_back_show_what_was_there(browser: Browser) -> None:
    buy(browser, 10, random=1)
    first = browser.driver.current_url
    seen = browser.data("#play-view .bought", "sample")
    start(browser, "hard", 20_301)
    buy(browser, 12, diversity=1)
    browser.driver.back()
    browser.until("document.getElementById('seed').value === '7'")
    browser.until(f"{steps_are(1)} && document.querySelectorAll('#play-view .bought').length === 10")
    assert browser.driver.current_url == first
    assert sorted(browser.data("#play-view .bought", "sample")) == sorted(seen)
    browser.driver.refresh()
    browser.until(f"{steps_are(1)} && document.querySelectorAll('#play-view .bought').length === 10")
    assert sorted(browser.data("#play-view .bought", "sample")) == sorted(seen)


def test_buying_during_a_replay_shows_the_purchase(browser: Browser) -> None:
    for _ in range(3):
        buy(browser, 10, random=1)
    browser.prefer(prefers_reduced_motion="no-preference")
    browser.driver.refresh()
    browser.until(steps_are(3))
    browser.until(usable("buy"))
    browser.click("rerun")
    browser.until("document.getElementById('history').value === '1'")
    browser.click("buy")
    browser.until(steps_are(4))
    browser.driver.execute_async_script("setTimeout(arguments[0], 1200)")  # longer than the replay would go on
    browser.prefer(prefers_reduced_motion="reduce")
    assert browser.find("history").get_attribute("value") == "4"


@pytest.mark.parametrize("screen", SCREENS)
def test_the_rest_of_the_budget_is_drawn_on_every_screen(browser: Browser, screen: str) -> None:
    browser.resize(SCREENS[screen])
    rest = browser.driver.find_element(By.CSS_SELECTOR, "#play-view .remainder")
    assert rest.is_displayed()
    assert rest.size["width"] > 100


def test_the_ladder_follows_the_width_of_its_frame(browser: Browser) -> None:
    browser.click("stop")
    browser.until("!document.getElementById('result').hidden")
    ladder = "document.querySelector('#ladder svg').getBoundingClientRect().width"
    frame = "document.querySelector('#ladder').clientWidth"
    for screen in (LAPTOP, PHONE, LAPTOP):
        browser.resize(screen)
        browser.until(f"Math.abs({ladder} - {frame}) <= 1")


def test_what_was_copied_is_said_beside_the_link(browser: Browser) -> None:
    browser.click("stop")
    browser.until("!document.getElementById('result').hidden")
    browser.click("copy")
    browser.until("document.getElementById('copied').textContent !== ''")
    assert abs(browser.find("copied").rect["y"] - browser.find("link").rect["y"]) < 80


@pytest.mark.parametrize("screen", SCREENS)
def test_the_action_is_in_view_at_once_and_wherever_one_scrolls(browser: Browser, screen: str) -> None:
    browser.resize(SCREENS[screen])
    browser.until("document.querySelectorAll('#play-view .pool circle').length > 0")
    inside = (
        "(() => { const { top, bottom } = document.getElementById('buy').getBoundingClientRect();"
        " return top >= 0 && bottom <= innerHeight; })()"
    )
    for share in (0, 0.3, 0.6):
        browser.driver.execute_script(f"scrollTo(0, {share} * document.body.scrollHeight)")
        assert browser.driver.execute_script(f"return {inside}"), share


@pytest.fixture
def own_server(running: Browser) -> Iterator[Server]:
    with running_server(env={"DATASELECT_MAX_SESSIONS": "1"}) as server:
        running.resize(LAPTOP)
        running.driver.get(server.base_url)
        running.until("document.querySelectorAll('#play-view .pool circle').length > 0")
        yield server
        server.process.send_signal(signal.SIGCONT)
        running.driver.get("about:blank")


def test_a_server_that_stops_in_mid_step_is_tried_again(running: Browser, own_server: Server) -> None:
    buy(running, 10, random=1)
    own_server.process.send_signal(signal.SIGSTOP)
    running.click("buy")
    running.until(f"{STATUS}.includes('has not answered for 10 s')")
    assert running.find("retry").is_displayed()
    own_server.process.send_signal(signal.SIGCONT)
    running.until(steps_are(2))  # the answer came after all
    assert not running.find("retry").is_displayed()

    running.until(usable("buy"))
    own_server.process.send_signal(signal.SIGSTOP)
    running.click("buy")
    running.until(f"{STATUS}.includes('has not answered for 10 s')")
    running.find("retry").click()
    own_server.process.send_signal(signal.SIGCONT)
    running.until(steps_are(3))
    running.driver.execute_async_script("setTimeout(arguments[0], 500)")
    assert running.find("history").get_attribute("max") == "3"  # and not played twice
    assert running.driver.current_url.count("_") == 3 * 3


def test_a_full_server_says_so_and_is_tried_again(running: Browser, own_server: Server) -> None:
    running.driver.switch_to.new_window("tab")
    try:
        running.driver.get(own_server.base_url)
        running.until(f"{STATUS}.includes('All 1 sessions of this server are in use')")
        other, tab = running.driver.window_handles[0], running.driver.current_window_handle
        running.driver.switch_to.window(other)
        running.driver.get("about:blank")
        running.driver.switch_to.window(tab)
        running.find("retry").click()
        running.until(f"{STATUS}.startsWith('Start')")
    finally:
        running.driver.close()
        running.driver.switch_to.window(running.driver.window_handles[0])


def test_someone_offline_is_told_so(running: Browser, own_server: Server) -> None:
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    running.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": True, **network})
    try:
        running.click("start")
        running.until(f"{STATUS} === 'You are offline.'")
    finally:
        running.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": False, **network})
    running.find("retry").click()
    running.until(f"{STATUS}.startsWith('Start')")


def test_colours_follow_the_button_and_are_remembered(browser: Browser) -> None:
    def background() -> str:
        return str(browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor"))

    browser.prefer(prefers_color_scheme="light")
    light = background()
    browser.click("theme")
    assert background() == light
    browser.click("theme")
    dark = background()
    assert dark != light
    browser.driver.refresh()
    browser.until(f"{STATUS}.startsWith('Start')")
    assert background() == dark
    browser.click("theme")
    assert background() == light
    browser.prefer(prefers_color_scheme="dark", prefers_reduced_motion="reduce")
    assert background() == dark
    browser.prefer(prefers_reduced_motion="reduce")
