"""The page in a real browser: episodes are played by clicking, and what is drawn is compared with the API."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium", reason="the page is tested with selenium: pip install '.[browser]'")

from selenium.webdriver.common.keys import Keys

from bench import render_page
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.models import Action
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import BUILT_IN, PINNED, TASKS
from dataselect_env.custom.task_file import load_tasks
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import GROUPS, get_policy
from dataselect_env.server.pool_view import DEMONSTRATION_PREFIX
from tests.helpers.browsing import (
    LAPTOP,
    PATIENCE,
    PLAY_ALL,
    SCREENS,
    Browser,
    buy,
    post,
    received,
    sent,
    start,
    steps_are,
    usable,
)
from tests.helpers.owning import forgotten
from tests.helpers.serving import Server, running_server

pytestmark = pytest.mark.slow

LARGEST_PAGE = 200_000  # bytes, with everything that it loads until it can be played
TOKEN = "correct-horse-battery-staple"  # noqa: S105


def latest_episode(browser: Browser) -> str:
    resets = [message["data"]["episode_id"] for message in sent(browser) if message["type"] == "reset"]
    return str(resets[-1])


def pool(server: Server, episode_id: str) -> Any:
    return server.get("/pool?" + urllib.parse.urlencode({"episode_id": episode_id}))


def check_drawing(browser: Browser, shown: Any, replies: list[Any]) -> None:
    """Compare what is drawn after the last step with what the API tells and with the same episode in process."""
    performances = [reply.observation.current_performance for reply in replies]
    assert [float(value) for value in browser.data("#play-view .dot", "value")] == performances
    rewards = [reply.reward for reply in replies[1:]]
    assert [float(value) for value in browser.data("#play-view .bar", "reward")] == pytest.approx(rewards, abs=1e-12)
    for place, reply in enumerate(replies[1:], start=1):
        counts = {name: count for name, count in reply.info.bought_by.items() if count}
        bars = browser.data(f"#play-view .spent[data-step='{place}']", "count")
        assert [int(count) for count in bars] == list(counts.values())
        samples = browser.data(f"#play-view .bought[data-step='{place}']", "sample")
        assert sorted(map(int, samples)) == sorted(shown["purchases"][place - 1]["samples"])
        for name, count in counts.items():
            marks = browser.data(f"#play-view .bought[data-by='{name}'][data-step='{place}']", "sample")
            assert len(marks) == count
    wrong = browser.data("#play-view .bought[data-wrong='true']", "sample")
    assert sorted(map(int, wrong)) == sorted(sample for step in shown["purchases"] for sample in step["mislabelled"])
    crosses = browser.data("#play-view [data-wrong='true']", "sample")
    assert sorted(map(int, crosses)) == (shown["mislabelled"] or sorted(map(int, wrong)))


@pytest.mark.parametrize(("task_id", "screen"), [*((task_id, "laptop") for task_id in TASKS), ("medium", "phone")])
def test_an_episode_played_by_clicking(browser: Browser, server: Server, task_id: str, screen: str) -> None:
    browser.resize(SCREENS[screen])
    start(browser, task_id, 20_300)
    env = DataSelectEnv()
    replies = [env.reset(task_id=task_id, seed=20_300)]
    for batch_size, weights in ((5, {"uncertainty": 1}), (20, {"diversity": 2, "random": 2})):
        replies.append(env.step(buy(browser, batch_size, **weights)))
    episode_id = latest_episode(browser)
    assert episode_id.startswith(DEMONSTRATION_PREFIX)
    shown = pool(server, episode_id)
    assert shown["mislabelled"] is None
    check_drawing(browser, shown, replies)

    browser.click("earlier")
    assert set(browser.data("#play-view .bought", "step")) == {"1"}
    assert "past" in browser.text("looking")
    browser.click("stop")
    browser.until("!document.getElementById('result').hidden")
    replies.append(env.step(Action.stop()))
    check_drawing(browser, pool(server, episode_id), replies)
    grade = post(server, "/grader", {"episode_id": episode_id, "task_id": task_id})
    assert float(browser.data("#score", "value")[0]) == grade["score"]
    assert browser.data("#passed", "holds") == [str(grade["passed"]).lower()]
    rungs = {*(GROUPS["ladder"] if task_id in PINNED else ()), "this episode"}
    assert set(browser.data("#ladder .rung", "policy")) == rungs
    assert f"{grade['score']:.2f}" in browser.text("status")
    assert browser.complaints() == []


def test_the_page_never_receives_the_mask_before_the_end(browser: Browser) -> None:
    start(browser, "medium", 20_301)
    for _ in range(3):
        buy(browser, 10, uncertainty=1, diversity=1, random=1)
    before = list(received(browser))
    browser.click("stop")
    browser.until("!document.getElementById('result').hidden")
    after = list(received(browser))[len(before) :]
    assert len(before) == 2 * (1 + 1 + 3)  # the episode that the page starts with, this one's reset, three steps
    pools = [answer for answer in before if "purchases" in answer]
    assert len(pools) == 5
    for answer in pools:
        bought = {sample for step in answer["purchases"] for sample in step["samples"]}
        assert answer["mislabelled"] is None
        assert {sample for step in answer["purchases"] for sample in step["mislabelled"]} <= bought
    assert not any(answer["done"] for answer in before)
    wrong, bought = set(after[-1]["mislabelled"]), {s for step in after[-1]["purchases"] for s in step["samples"]}
    assert wrong - bought
    assert after[0]["done"]  # the frame that ends the episode comes before the mask


def test_what_it_loads_is_small_and_its_own(browser: Browser, server: Server) -> None:
    events = browser.network()
    finished = [event["params"] for event in events if event["method"] == "Network.loadingFinished"]
    assert 20_000 < sum(params["encodedDataLength"] for params in finished) < LARGEST_PAGE
    requests = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    paths = {urllib.parse.urlsplit(url).path for url in requests if url.startswith(server.base_url)}
    assert {path for path in paths if not path.startswith("/web/")} == {"/", "/pool", "/tasks"}
    assert [url for url in requests if not url.startswith(server.base_url)] == []
    sockets = [event["params"]["url"] for event in events if event["method"] == "Network.webSocketCreated"]
    assert sockets == [server.ws_url]
    assert browser.complaints() == []


def test_a_policy_plays_to_the_end_and_the_link_plays_it_again(browser: Browser, server: Server) -> None:
    start(browser, "hard", 20_302)
    browser.find("policy").send_keys("probing")
    browser.click("run")
    browser.until("!document.getElementById('result').hidden")
    score = rollout(get_policy("probing"), "hard", 20_302).grade.score
    assert float(browser.data("#score", "value")[0]) == score
    link = browser.find("link").get_attribute("value")
    assert link is not None
    assert link.startswith(f"{server.base_url}/#task=hard&seed=20302&actions=5_1_0_0,")
    browser.driver.get("about:blank")
    browser.driver.get(link)
    browser.until("document.getElementById('score').textContent !== ''")
    assert float(browser.data("#score", "value")[0]) == score


@pytest.mark.parametrize(
    ("fragment", "said"),
    [
        ("#task=brutal&seed=1", "there are easy, medium, hard"),
        ("#task=easy&seed=-1", "The seed should be a whole number from 0 to 4294967295."),
        ("#task=easy&seed=1&actions=5_1_0", "an action that cannot be read: 5_1_0"),
        ("#task=easy&seed=1&actions=5_0_0_0", "At least one weight should be greater than 0"),
        ("#task=hard&seed=1&actions=" + "5_1_0_0," * 9, "9 actions; hard has 8 steps"),
    ],
)
def test_a_link_that_makes_no_sense_is_told_so(browser: Browser, server: Server, fragment: str, said: str) -> None:
    browser.driver.get("about:blank")
    browser.driver.get(f"{server.base_url}/web{fragment}")
    browser.until(f"document.getElementById('status').textContent.includes({json.dumps(said)})")


def test_a_server_with_a_token_is_shown_it(running: Browser, tmp_path: Path) -> None:
    running.resize(LAPTOP)
    (tmp_path / "tasks.yaml").write_text("tasks: {mine: {table: {bundled: wine}, budget: 40}}", encoding="utf-8")
    tasks = "[...document.getElementById('task').options].map(({ value }) => value).join()"
    env = {"DATASELECT_TOKEN": TOKEN, "DATASELECT_TASKS": "tasks.yaml"}
    with running_server(cwd=tmp_path, env=env) as guarded:
        running.driver.get(f"{guarded.base_url}/#task=easy&seed=3&actions=5_0_0_1")
        running.until("document.getElementById('status').textContent.includes('requires a token')")
        running.find("token").send_keys("wrong", Keys.ENTER)
        running.until("document.getElementById('status').textContent.includes('not that of the server')")
        running.find("token").send_keys(Keys.HOME, Keys.DELETE * len("wrong"), TOKEN, Keys.ENTER)
        running.until(f"{steps_are(1)} && document.querySelectorAll('#play-view .pool circle').length > 0")
        assert running.driver.current_url.endswith("#task=easy&seed=3&actions=5_0_0_1")  # the link was not lost
        running.until(usable("buy"))
        buy(running, 5, random=1)
        assert running.driver.execute_script(f"return {tasks}") == f"{','.join(BUILT_IN)},mine"
        running.driver.execute_script("document.getElementById('task').value = 'mine'")
        running.click("start")
        running.until("document.getElementById('status').textContent.startsWith('Start: 134 samples')")
        running.driver.get("about:blank")


OWN_TASKS = """
tasks:
  mine: {table: {bundled: wine}, noise: {uniform: 0.2}, budget: 40, max_steps: 4, strategies: [margin]}
  secret: {table: {bundled: wine}, noise: {unknown: 0.1}, budget: 40, max_steps: 4}
"""


@pytest.mark.parametrize(("task_id", "told"), [("mine", "of 40 bought"), ("secret", "not reported")])
def test_tasks_of_ones_own_are_played(running: Browser, tmp_path: Path, task_id: str, told: str) -> None:
    (tmp_path / "tasks.yaml").write_text(OWN_TASKS, encoding="utf-8")
    with forgotten(), running_server(env={"DATASELECT_TASKS": str(tmp_path / "tasks.yaml")}) as server:
        load_tasks(tmp_path / "tasks.yaml")
        running.resize(LAPTOP)
        running.driver.get("about:blank")
        running.complaints()
        running.driver.get(server.base_url)
        running.until("document.querySelectorAll('#play-view .pool circle').length > 0")
        start(running, task_id, 5)
        running.find("policy").send_keys("probing")
        running.click("run")
        running.until("!document.getElementById('result').hidden")
        score = rollout(get_policy("probing"), task_id, 5).grade.score
        assert float(running.data("#score", "value")[0]) == score
        assert told in running.driver.execute_script("return document.body.textContent")
        assert running.complaints() == []
        running.driver.get("about:blank")


@pytest.mark.parametrize(
    ("names", "tasks"), [((*render_page.RULES, "balanced"), tuple(TASKS)), (("best-constant",), PINNED)]
)
def test_policies_play_as_those_of_the_package(
    browser: Browser, names: tuple[str, ...], tasks: tuple[str, ...]
) -> None:
    browser.driver.set_script_timeout(PATIENCE)
    scores = browser.driver.execute_async_script(PLAY_ALL, names, tasks)
    assert scores == {
        f"{name},{task_id},{seed}": rollout(get_policy(name), task_id, seed).grade.score
        for name in names
        for task_id in tasks
        for seed in (20_001, 20_007)
    }


@pytest.mark.parametrize("screen", SCREENS)
def test_every_control_can_be_reached_named_and_seen(browser: Browser, screen: str) -> None:
    browser.resize(SCREENS[screen])
    tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    controls = [
        (node["role"]["value"], node["name"]["value"])
        for node in tree
        if not node["ignored"] and node["role"]["value"] in ("slider", "button", "combobox", "textbox", "tab", "image")
    ]
    assert len(controls) > 20
    assert [role for role, name in controls if not name.strip()] == []
    reached = set()
    body = browser.driver.switch_to.active_element
    for _ in range(40):
        body.send_keys(Keys.TAB)
        body = browser.driver.switch_to.active_element
        reached.add(body.get_attribute("id"))
    assert {
        "task",
        "split",
        "seed",
        "start",
        "draw-seed",
        "batch",
        "theme",
        *(f"weight-{name}" for name in STRATEGIES),
        "buy",
        "stop",
        "policy",
    } <= reached
    wide = "document.documentElement.scrollWidth"
    assert browser.driver.execute_script(f"return {wide}") <= SCREENS[screen].width
