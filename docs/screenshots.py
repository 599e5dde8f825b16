"""Take the pictures of the page that docs/page.md shows: laptop and phone, light and dark.

    python -m docs.screenshots

Needs the extra ``browser`` and Chromium with its driver. Serves from this checkout, with a store in memory.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable

from PIL import Image

from tests.helpers.browsing import LAPTOP, PHONE, Browser, Screen, chrome, start, steps_are
from tests.helpers.serving import ROOT, running_server

COLOURS = 160
"""Enough for flat colours with smooth edges, in a third of the bytes."""
SEED = 7
LAST_LIGHT = 2.0
"""Seconds after which the newest batch has lit up."""


def half_way(browser: Browser) -> None:
    """Buy three batches by hand."""
    start(browser, "medium", SEED)
    for count in (1, 2, 3):
        browser.click("buy")
        browser.until(steps_are(count))
    browser.driver.execute_script("document.querySelector('#action').scrollIntoView()")


def finished(browser: Browser) -> None:
    """Buy two batches by hand and let a policy play on to the end."""
    start(browser, "medium", SEED)
    for count in (1, 2):
        browser.click("buy")
        browser.until(steps_are(count))
    browser.find("policy").send_keys("diversity")
    browser.click("run")
    browser.until("!document.getElementById('result').hidden")


def compared(browser: Browser) -> None:
    """Let three policies play the same seeds."""
    browser.click("compare-tab")
    browser.click("compare-run")
    browser.until("document.getElementById('compare-status').textContent.includes('highest')")


def at_the_grade(browser: Browser) -> None:
    """Play to the end and look at the grade."""
    finished(browser)
    browser.driver.execute_script("document.getElementById('result').scrollIntoView()")


PICTURES: dict[str, tuple[Screen, str, Callable[[Browser], None], bool]] = {
    "page-laptop-light": (LAPTOP, "light", finished, True),
    "page-laptop-dark": (LAPTOP, "dark", compared, True),
    "page-phone-light": (PHONE, "light", half_way, False),
    "page-phone-dark": (PHONE, "dark", at_the_grade, False),
}
"""By name: screen, colours, what was done, and whether the picture has the whole page or what the screen shows."""


def save(browser: Browser, screen: Screen, name: str, *, whole: bool) -> None:
    """Write what the browser shows to a file with few colours."""
    if whole:
        height = browser.driver.execute_script("return document.documentElement.scrollHeight")
        browser.resize(Screen(screen.width, height, screen.mobile))
    time.sleep(LAST_LIGHT)
    image = Image.open(io.BytesIO(browser.driver.get_screenshot_as_png())).convert("RGB")
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        ROOT / "docs" / f"{name}.png", optimize=True
    )


def main() -> None:
    with running_server() as server, chrome(LAPTOP) as browser:
        for name, (screen, colours, play, whole) in PICTURES.items():
            browser.driver.get("about:blank")
            browser.resize(screen)
            browser.prefer(prefers_color_scheme=colours)
            browser.driver.get(server.base_url)
            browser.until("document.querySelectorAll('#play-view .pool circle').length > 0")
            play(browser)
            save(browser, screen, name, whole=whole)


if __name__ == "__main__":
    main()
