"""Watching: the list of recent episodes, following one that others play, and what runs but must stay hidden."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("selenium", reason="the page is tested with selenium: pip install '.[browser]'")

from selenium.webdriver.common.by import By

from tests.helpers.actions import select, stop
from tests.helpers.browsing import LAPTOP, Browser, post
from tests.helpers.serving import Server, running_server

pytestmark = pytest.mark.slow

ROWS = "[...document.querySelectorAll('#episodes tr')].map((row) => row.innerText.split('\\t'))"


def play(server: Server, episode_id: str, *actions: dict[str, Any], task_id: str = "hard") -> list[Any]:
    """Play over HTTP; return the replies."""
    replies = [post(server, "/reset", {"task_id": task_id, "seed": 3, "episode_id": episode_id})]
    return [*replies, *(step(server, episode_id, action) for action in actions)]


def step(server: Server, episode_id: str, action: dict[str, Any]) -> Any:
    return post(server, "/step", {**action, "episode_id": episode_id})


def test_an_episode_of_another_client_is_followed_to_its_grade(browser: Browser, server: Server) -> None:
    replies = play(server, "an agent/1", select(10))
    browser.click("watch-tab")
    browser.until("document.querySelector('#episodes a') !== null")
    browser.driver.find_element(By.LINK_TEXT, "an agent/1").click()
    browser.until("document.getElementById('status').textContent.startsWith('Step 1')")
    assert browser.driver.current_url.endswith("#episode=an%20agent%2F1")
    assert not browser.find("buy").is_displayed()
    assert "hard, seed 3, over http" in browser.text("watched-text")
    assert browser.data("#play-view .bought", "sample") == []  # it is not over, and no demonstration

    replies.append(step(server, "an agent/1", select(12, diversity=1)))
    browser.until("document.getElementById('status').textContent.startsWith('Step 2')")
    performances = [reply["observation"]["current_performance"] for reply in replies]
    assert [float(value) for value in browser.data("#play-view .dot", "value")] == performances
    assert browser.data("#play-view .bought", "sample") == []

    browser.click("earlier")
    replies.append(step(server, "an agent/1", stop()))
    browser.until("document.getElementById('history').max === '3'")
    assert browser.find("history").get_attribute("value") == "1"  # whoever looks back is left there
    browser.click("later")
    browser.click("later")
    browser.driver.refresh()
    browser.until("!document.getElementById('result').hidden")
    assert float(browser.data("#score", "value")[0]) == replies[-1]["info"]["grade"]["score"]
    assert len(browser.data("#play-view .bought", "sample")) == 22
    assert browser.complaints() == []


def test_the_list_shows_recent_episodes_by_filter(browser: Browser, server: Server) -> None:
    play(server, "done", select(10), stop())
    play(server, "runs", select(10), task_id="easy")
    browser.click("watch-tab")
    browser.until(f"{ROWS}.length > 2")
    assert browser.driver.current_url.endswith("#watch")
    rows = browser.driver.execute_script(f"return {ROWS}")
    assert [rows[0][0], *rows[0][-1:]] == ["runs", "running"]
    assert [*rows[1][:4], rows[1][5]] == ["done", "hard", "3", "http", "2"]
    choose(browser, "watch-state", "finished")
    browser.until(f"{ROWS}[0][0] === 'done'")
    choose(browser, "watch-task", "easy")
    browser.until(f"!{ROWS}.some(([name]) => name === 'done')")
    choose(browser, "watch-state", "running")
    browser.until(f"{ROWS}[0]?.[0] === 'runs'")
    play(server, "newer", task_id="easy")
    browser.until(f"{ROWS}[0][0] === 'newer'")  # by itself
    assert browser.complaints() == []


def choose(browser: Browser, name: str, value: str) -> None:
    script = "const [id, value] = arguments; const select = document.getElementById(id); select.value = value;"
    browser.driver.execute_script(f"{script} select.dispatchEvent(new Event('change'))", name, value)


def test_older_episodes_are_a_page_away(browser: Browser, server: Server) -> None:
    for place in range(25):
        play(server, f"many-{place}")
    browser.click("watch-tab")
    browser.until(f"{ROWS}.length === 20")
    browser.click("older")
    browser.until(f"{ROWS}[0][0] === 'many-4'")
    browser.click("newest")
    browser.until(f"{ROWS}[0][0] === 'many-24'")


def test_following_costs_no_transfer_while_nothing_happens(browser: Browser, server: Server) -> None:
    play(server, "idle", select(10))
    browser.driver.get(f"{server.base_url}/#episode=idle")
    browser.driver.refresh()
    browser.until("document.getElementById('status').textContent.startsWith('Step 1')")

    browser.until(
        "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/episodes/idle')).length > 2"
    )
    sizes = browser.driver.execute_script(
        "return performance.getEntriesByType('resource').filter(({ name }) => name.includes('/episodes/idle'))"
        ".map(({ encodedBodySize, transferSize }) => [encodedBodySize, transferSize])"
    )
    assert all(whole > 1_000 > transferred for whole, transferred in sizes[1:])


def test_a_sealed_episode_shows_what_its_agent_was_told_and_nothing_else(running: Browser) -> None:
    env = {"DATASELECT_SECRET": "5f0c1d7e9ab34c628d15e07f3b9a6c24d8"}
    with running_server(env=env) as server:
        reset = {"task_id": "medium", "split": "sealed", "index": 3, "agent": "me", "episode_id": "hidden"}
        post(server, "/reset", reset)
        post(server, "/reset", {"task_id": "medium", "seed": 4, "episode_id": "open"})
        step(server, "hidden", select(10))
        last = step(server, "hidden", stop())
        running.resize(LAPTOP)
        running.driver.get(f"{server.base_url}/#episode=hidden")
        running.until("!document.getElementById('result').hidden")
        assert float(running.data("#score", "value")[0]) == last["info"]["grade"]["score"]
        assert "index 3 of the sealed split" in running.text("watched-text")
        assert "played by me" in running.text("watched-text")
        shown = [float(value) for value in running.data("#play-view .dot", "value")]
        assert shown == [last["observation"]["current_performance"]] * 2
        assert running.data("#play-view .pool circle, #play-view .bought", "sample") == []
        assert not running.find("play-this").is_displayed()
        running.click("watch-tab")
        running.until(f"{ROWS}.some(([name]) => name === 'open')")
        assert "hidden" not in running.driver.execute_script(f"return {ROWS}.map(([name]) => name)")
        running.driver.get("about:blank")


def test_an_unknown_episode_is_reported(browser: Browser, server: Server) -> None:
    browser.driver.get(f"{server.base_url}/#episode=never")
    browser.until("document.getElementById('status').textContent.includes('there is no such episode')")
