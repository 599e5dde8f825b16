"""A server with the page, and a browser that looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.helpers.browsing import Browser
    from tests.helpers.serving import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    from tests.helpers.serving import running_server

    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    from tests.helpers.browsing import LAPTOP, chrome

    with chrome(LAPTOP) as browser:
        browser.prefer(prefers_reduced_motion="reduce")  # what plays by itself plays fast
        yield browser


@pytest.fixture
def browser(running: Browser, server: Server) -> Browser:
    """The page on a laptop, freshly opened, with the first episode started; nothing is in the logs but that."""
    from tests.helpers.browsing import LAPTOP

    running.resize(LAPTOP)
    running.driver.get("about:blank")
    running.network()
    running.events.clear()
    running.complaints()
    running.driver.get(server.base_url)
    running.until("document.querySelectorAll('#play-view .pool circle').length > 0")
    return running
