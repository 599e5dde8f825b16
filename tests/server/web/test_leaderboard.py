"""The page of the leaderboard in a real browser, compared with the API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium", reason="the page is tested with selenium: pip install '.[browser]'")
pytest.importorskip("cryptography")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from dataselect_env.core.tasks import DYNAMICS_VERSION, SEALED, SPLITS
from dataselect_env.server.keyring import Keyring
from dataselect_env.server.store.boards import Board
from dataselect_env.server.store.sqlite import SQLiteStore
from tests.helpers.boarding import fill
from tests.helpers.browsing import LAPTOP, SCREENS, Browser
from tests.helpers.serving import Server, running_server
from tests.server.web.test_accessibility import RUN, axe  # noqa: F401  (a fixture)

pytestmark = pytest.mark.slow

SECRET, TOKEN = "s" * 32, "correct-horse-battery-staple"
BOARD = Board("medium", SEALED, Keyring([SECRET]).current, DYNAMICS_VERSION, None)
OPEN = Board("hard", "test", None, DYNAMICS_VERSION, None)
ROWS = "[...document.querySelectorAll('#rows tr')].map((row) => row.innerText.split('\\t').map((t) => t.trim()))"
SHOWN = "document.querySelectorAll('#rows tr').length > 0 && document.getElementById('status').textContent === ''"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("boards") / "boards.db"
    store = SQLiteStore(path)
    good = [0.7 + place / 1_000 for place in range(30)]

    async def write() -> None:
        poor = [one - 0.3 for one in good]
        await fill(store, BOARD, {"good": good, "poor": poor, "tied": poor[::-1], "part": [0.9, 1.0, None]})
        await fill(store, BOARD, {f"other-{number:02}": [number / 100] * 30 for number in range(60)})
        await fill(store, OPEN, {"good": [0.5, 0.6]}, SPLITS["test"].first_seed)
        await store.close()

    asyncio.run(write())
    return path


@pytest.fixture(scope="module")
def server(filled: Path) -> Iterator[Server]:
    env = {"DATASELECT_SECRET": SECRET, "DATASELECT_SEALED_SIZE": "30"}
    with running_server(store=f"sqlite:///{filled}", env=env) as server:
        yield server


def show(browser: Browser, server: Server, fragment: str, condition: str = SHOWN) -> None:
    browser.driver.get("about:blank")
    browser.complaints()
    browser.driver.get(f"{server.base_url}/web/leaderboard.html{fragment}")
    browser.until(condition)


def rows(browser: Browser) -> list[list[str]]:
    found: list[list[str]] = browser.driver.execute_script(f"return {ROWS}")
    return found


@pytest.mark.parametrize("screen", SCREENS)
def test_the_board_is_that_of_the_api(running: Browser, server: Server, screen: str) -> None:
    running.resize(SCREENS[screen])
    show(running, server, "#task=medium")
    board: Any = server.get("/leaderboard?task=medium")
    expected = [
        (str(row["rank"] or "incomplete"), row["agent"], f"{row['mean']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}")
        for row in board["rows"]
    ]
    assert [tuple(row[:4]) for row in rows(running)] == expected
    assert [row[6].split(",")[0] for row in rows(running)[:1]] == [f"+{board['rows'][0]['next']['mean']:.3f}"]
    assert "p < 0.001" in rows(running)[0][6]
    tied = next(row for row in rows(running) if row[1] == "poor")
    assert "may be chance" in tied[6]
    assert running.text("method") == board["method"]
    assert not running.find("warning").is_displayed()
    assert running.driver.execute_script("return document.documentElement.scrollWidth") <= SCREENS[screen].width
    assert running.complaints() == []


def test_parts_agents_and_back_with_the_keyboard(running: Browser, server: Server) -> None:
    running.resize(LAPTOP)
    show(running, server, "#task=medium")
    running.find("later").send_keys(Keys.ENTER)
    running.until("location.hash.includes('offset=50') && document.querySelectorAll('#rows tr').length === 14")
    incomplete = rows(running)[-1]
    assert (incomplete[0], incomplete[1], incomplete[4]) == ("incomplete", "part", "2 of 30")
    running.driver.find_element(By.LINK_TEXT, "part").send_keys(Keys.ENTER)
    running.until("document.querySelectorAll('#attempts tr').length === 3")
    assert "no score is shown by index" in running.text("agent-text")
    running.find("back").send_keys(Keys.ENTER)
    running.until(
        "!document.getElementById('board-part').hidden && document.querySelectorAll('#rows tr').length === 50"
    )
    assert running.complaints() == []


def test_the_open_board_warns_and_links_to_episodes(running: Browser, server: Server) -> None:
    running.resize(LAPTOP)
    show(running, server, "#task=medium")
    select = running.find("board")
    assert "hard, test, dynamics 3" in select.text
    running.driver.execute_script(
        "arguments[0].value = [...arguments[0].options].find((one) => one.text.startsWith('hard')).value;"
        "arguments[0].dispatchEvent(new Event('change'))",
        select,
    )
    running.until("!document.getElementById('warning').hidden")
    assert "can be looked up" in running.text("warning")
    running.driver.find_element(By.LINK_TEXT, "good").click()
    running.until("document.querySelectorAll('#attempts a').length === 2")
    href = running.driver.find_element(By.CSS_SELECTOR, "#attempts a").get_attribute("href") or ""
    assert href.startswith(f"{server.base_url}/web#episode=hard%2Ftest")


def test_empty_and_refused(running: Browser, server: Server) -> None:
    empty = "document.getElementById('status').textContent.startsWith('No attempt counts')"
    show(running, server, "#task=easy", empty)
    show(running, server, "#task=brutal", "document.getElementById('status').textContent.includes('no such task')")
    failed = "return document.getElementById('status').dataset.kind"
    assert running.driver.execute_script(failed) == "failed"


def test_a_token_is_asked_for(running: Browser, filled: Path) -> None:
    running.resize(LAPTOP)
    env = {"DATASELECT_SECRET": SECRET, "DATASELECT_SEALED_SIZE": "30", "DATASELECT_TOKEN": TOKEN}
    with running_server(store=f"sqlite:///{filled}", env=env) as guarded:
        asked = "document.getElementById('status').textContent === 'This server requires a token.'"
        show(running, guarded, "#task=medium", asked)
        running.find("token").send_keys("wrong", Keys.ENTER)
        running.until("document.getElementById('status').textContent.includes('not that of the server')")
        running.find("token").send_keys(Keys.HOME, Keys.DELETE * len("wrong"), TOKEN, Keys.ENTER)
        running.until(SHOWN)
        assert len(rows(running)) == 50


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_rule_of_accessibility_is_broken(
    running: Browser,
    server: Server,
    axe: str,  # noqa: F811
    screen: str,
    scheme: str,
) -> None:
    running.resize(SCREENS[screen])
    running.prefer(prefers_reduced_motion="reduce", prefers_color_scheme=scheme)
    agent_shown = "document.querySelectorAll('#attempts tr').length > 0"
    pages = {"#task=medium": SHOWN, "#task=hard&split=test": SHOWN, "#task=medium&agent=part": agent_shown}
    for fragment, shown in pages.items():
        show(running, server, fragment, shown)
        running.driver.execute_script("document.getElementById('reading').open = true;" + axe)
        assert running.driver.execute_async_script(RUN) == []


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name(running: Browser, server: Server, screen: str, scheme: str) -> None:
    running.resize(SCREENS[screen])
    running.prefer(prefers_reduced_motion="reduce", prefers_color_scheme=scheme)
    show(running, server, "#task=medium")
    tree = running.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = ("button", "combobox", "link", "image", "table", "region")
    named = [
        (node["role"]["value"], node["name"]["value"].strip())
        for node in tree
        if not node["ignored"] and node["role"]["value"] in roles
    ]
    assert {role for role, _ in named} >= {"button", "combobox", "link", "image", "region"}
    assert [one for one in named if not one[1] and one[0] != "table"] == []
    colours = running.driver.execute_script(
        "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    )
    assert colours[0] != colours[1], json.dumps(colours)
