"""A real browser without a window, for tests of the page and for its screenshots.

with chrome(LAPTOP) as browser:
    browser.driver.get(server.base_url)
"""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

pytest.importorskip("selenium", reason="the page is tested with selenium: pip install '.[browser]'")

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from dataselect_env.core.models import Action
from dataselect_env.core.strategies.sampling import STRATEGIES
from tests.helpers.serving import Server

CHROME = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
MISSING = "the page is tested in Chromium with its driver: apt-get install chromium chromium-driver"
FLAGS = (
    "--headless",
    "--no-sandbox",  # for those who run tests as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 60  # seconds until something that does not happen counts as failed


@dataclass(frozen=True)
class Screen:
    """What the page is looked at on; sizes in CSS pixels."""

    width: int
    height: int
    mobile: bool = False


LAPTOP = Screen(1366, 768)
PHONE = Screen(390, 844, mobile=True)
SCREENS = {"laptop": LAPTOP, "phone": PHONE}


@dataclass
class Browser:
    """A running browser; ``events`` are what its network did since the start, as the DevTools protocol tells it."""

    driver: webdriver.Chrome
    events: list[dict[str, Any]] = field(default_factory=list)

    def find(self, name: str) -> WebElement:
        """Return the element of this id."""
        return self.driver.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return str(self.driver.execute_script("return document.getElementById(arguments[0]).textContent", name))

    def click(self, name: str) -> None:
        """Wait until a button can be used, and click it."""
        self.until(f"document.getElementById('{name}').ariaDisabled !== 'true'")
        button = self.find(name)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()

    def until(self, condition: str) -> None:
        """Wait until a JavaScript expression holds."""
        WebDriverWait(self.driver, PATIENCE, 0.05).until(lambda driver: driver.execute_script(f"return {condition}"))

    def until_true(self, condition: Callable[[], bool]) -> None:
        """Wait until a function returns True."""
        WebDriverWait(self.driver, PATIENCE, 0.05).until(lambda _: condition())

    def data(self, selector: str, name: str) -> list[str]:
        """Return the ``data-`` attribute ``name`` of all elements that match ``selector``, in document order."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.getAttribute('data-' + arguments[1]))"
        return list(self.driver.execute_script(script, selector, name))

    def network(self) -> list[dict[str, Any]]:
        """Return all network events so far."""
        for entry in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            message = json.loads(entry["message"])["message"]
            if message["method"].startswith("Network."):
                self.events.append(message)
        return self.events

    def complaints(self) -> list[str]:
        """Return what the browser's console holds: errors, warnings, broken policies."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def resize(self, screen: Screen) -> None:
        metrics = {"width": screen.width, "height": screen.height, "deviceScaleFactor": 1, "mobile": screen.mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, **features: str) -> None:
        """Set media features, such as ``prefers_color_scheme="dark"``."""
        chosen = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": chosen})


@contextmanager
def chrome(screen: Screen) -> Iterator[Browser]:
    """Start a browser and end it."""
    if CHROME is None or DRIVER is None:
        pytest.skip(MISSING)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROME
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        browser = Browser(driver)
        browser.resize(screen)
        yield browser
    finally:
        driver.quit()


def start(browser: Browser, task_id: str, seed: int) -> None:
    browser.driver.execute_script("document.getElementById('seed').value = arguments[0]", str(seed))
    browser.driver.execute_script("document.getElementById('task').value = arguments[0]", task_id)
    browser.click("start")
    browser.until(f"document.getElementById('looking').textContent === '' && {steps_are(0)}")
    browser.until(usable("buy"))


def usable(name: str) -> str:
    return f"document.getElementById('{name}').ariaDisabled !== 'true'"


def steps_are(count: int) -> str:
    return f"document.getElementById('history').max === '{count}'"


def set_slider(browser: Browser, name: str, value: int) -> None:
    """Move a slider with the keyboard, as somebody without a mouse does."""
    slider = browser.find(name)
    slider.send_keys(Keys.HOME)
    low = int(slider.get_attribute("value") or 0)
    slider.send_keys(Keys.ARROW_RIGHT * (value - low))
    assert slider.get_attribute("value") == str(value)


def buy(browser: Browser, batch_size: int, **weights: int) -> Action:
    for name in STRATEGIES:
        set_slider(browser, f"weight-{name}", weights.get(name, 0))
    set_slider(browser, "batch", batch_size)
    count = int(browser.find("history").get_attribute("max") or 0) + 1
    browser.click("buy")
    browser.until(steps_are(count))
    return Action.select(batch_size, **weights)


def post(server: Server, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(server.base_url + path, json.dumps(body).encode())
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as reply:
        return json.load(reply)


def sent(browser: Browser) -> list[dict[str, Any]]:
    """Return all WebSocket messages that the page has sent."""
    events = [event for event in browser.network() if event["method"] == "Network.webSocketFrameSent"]
    return [json.loads(event["params"]["response"]["payloadData"]) for event in events]


def received(browser: Browser) -> Iterator[dict[str, Any]]:
    """Yield everything that the page has received so far, in order: each frame's data, and each answer of /pool."""
    pools = {}
    for event in browser.network():
        params = event["params"]
        if event["method"] == "Network.webSocketFrameReceived":
            yield json.loads(params["response"]["payloadData"])["data"]
        elif event["method"] == "Network.responseReceived" and "/pool?" in params["response"]["url"]:
            pools[params["requestId"]] = params["response"]["url"]
        elif event["method"] == "Network.loadingFinished" and params["requestId"] in pools:
            body = browser.driver.execute_cdp_cmd("Network.getResponseBody", {"requestId": params["requestId"]})
            yield json.loads(body["body"])


PLAY_ALL = """
const [policies, tasks, done] = arguments;
const play = async () => {
  const { PlayedEpisode } = await import("/web/episode.js");
  const { startPolicy } = await import("/web/policies.js");
  const reference = await (await fetch("/web/reference.json")).json();
  const scores = {};
  for (const name of policies) for (const task of tasks) for (const seed of [20001, 20007]) {
    const episode = new PlayedEpisode(reference, task, seed);
    await episode.start();
    const act = startPolicy(reference, name, episode.task, episode.replies);
    while (!episode.done) {
      if (episode.steps === 2) episode.close();  // it makes the episode anew by itself
      await episode.step(act(episode.last));
    }
    scores[[name, task, seed]] = episode.grade.score;
  }
  return scores;
};
play().then(done, (error) => done(String(error)));
"""
"""Plays policies on tasks, all by name, in the page; returns the scores by "policy,task,seed"."""
