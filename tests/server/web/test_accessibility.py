"""Rules of axe-core, checked in the page; axe-core is a download for tests (npm) and no part of the package."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="the page is tested with selenium: pip install '.[browser]'")

from tests.helpers.browsing import SCREENS, Browser, buy

pytestmark = pytest.mark.slow

AXE = "axe-core@4.10.2"
RUN = """
const done = arguments[0];
axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
  done(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 160)).slice(0, 3)])));
"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the text of axe-core."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("axe-core comes from npm: apt-get install npm")
    folder: Path = tmp_path_factory.mktemp("axe")
    command = [npm, "pack", "--silent", AXE]
    packed = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=120)
    if packed.returncode:
        pytest.skip(f"axe-core cannot be downloaded: {packed.stderr.strip()[:200]}")
    with tarfile.open(folder / packed.stdout.strip()) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode()


def played(browser: Browser) -> None:
    buy(browser, 10, random=1, uncertainty=1)


def finished(browser: Browser) -> None:
    played(browser)
    browser.click("stop")
    browser.until("!document.getElementById('result').hidden")
    browser.driver.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.until("document.getElementById('code').textContent !== ''")


def listed(browser: Browser) -> None:
    browser.click("watch-tab")
    browser.until("document.querySelector('#episodes a') !== null")


def compared(browser: Browser) -> None:
    browser.click("compare-tab")
    browser.driver.execute_script("document.getElementById('compare-seeds').value = '2'")
    browser.click("compare-run")
    browser.until("document.getElementById('compare-status').textContent.includes('highest')")


@pytest.mark.parametrize("show", [played, finished, listed, compared])
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_no_rule_is_broken(
    browser: Browser, axe: str, screen: str, colours: str, show: Callable[[Browser], None]
) -> None:
    browser.prefer(prefers_color_scheme=colours, prefers_reduced_motion="reduce")
    browser.resize(SCREENS[screen])
    show(browser)
    browser.driver.execute_script(axe)
    assert browser.driver.execute_async_script(RUN) == []
    browser.prefer(prefers_reduced_motion="reduce")
