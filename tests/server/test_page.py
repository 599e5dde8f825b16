"""The files of the page: where they are served, how they are kept, and that nothing in them leaves the server."""

from __future__ import annotations

import json
import re

import pytest
from fastapi.testclient import TestClient

from bench import render_page
from dataselect_env.core.tasks import TASKS
from dataselect_env.server.app import create_app
from dataselect_env.server.page import CONTENT_SECURITY_POLICY, MEDIA_TYPES, PAGE
from dataselect_env.server.settings import Settings
from tests.helpers.owning import WINE, forgotten, offered
from tests.helpers.serving import ROOT

WEB = ROOT / "dataselect_env" / "server" / "web"
LARGEST_PAGE = 200_000  # bytes, with everything that it loads
LARGEST_POOL = 40_000  # bytes: test_poolview.py holds that
LONGEST_FILE = 300  # lines
LARGEST_PICTURE = 150_000  # bytes
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in WEB.iterdir()}
SOURCES = [name for name in TEXTS if not name.endswith(".json")]


@pytest.mark.parametrize("address", ["/", "/web"])
def test_the_page_is_where_people_and_spaces_look(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.text == TEXTS[PAGE]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policies = answer.headers["content-security-policy"]
    assert CONTENT_SECURITY_POLICY in policies
    assert "frame-ancestors 'self' https://huggingface.co" in policies


def test_an_address_with_a_slash_leads_to_the_page(client: TestClient) -> None:
    assert client.get("/web/").text == TEXTS[PAGE]


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_every_file_is_sent_with_its_type_and_a_tag(client: TestClient, name: str) -> None:
    answer = client.get(f"/web/{name}")
    assert answer.text == TEXTS[name]
    assert answer.headers["content-type"] == MEDIA_TYPES[(WEB / name).suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = client.get(f"/web/{name}", headers={"If-None-Match": f'"other", W/{answer.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert again.headers["cache-control"] == answer.headers["cache-control"] == "no-cache"
    assert CONTENT_SECURITY_POLICY in again.headers["content-security-policy"]
    assert client.get(f"/web/{name}", headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_page_knows_the_tasks_of_ones_own(client: TestClient) -> None:
    before = client.get("/web/reference.json")
    with forgotten():
        offered("mine", **{**WINE, "strategies": ["margin"]})
        answer = client.get("/web/reference.json")
        told = answer.json()
        assert list(told["tasks"]) == [*before.json()["tasks"], "mine"]
        assert told["tasks"]["mine"]["pool_size"] == TASKS["mine"].pool_size
        assert not told["tasks"]["mine"]["pinned"]
        actions = {policy["name"]: policy["actions"] for policy in told["policies"] if policy["actions"]}
        assert actions["random"]["mine"]["batch_size"] == -(-WINE["budget"] // WINE["max_steps"])
        assert actions["best-constant"]["mine"] is None
        assert CONTENT_SECURITY_POLICY in answer.headers["content-security-policy"]
        kept = {"If-None-Match": before.headers["etag"]}  # by a browser, from before there were tasks of one's own
        assert client.get("/web/reference.json", headers=kept).json() == told
    assert client.get("/web/reference.json").text == before.text


def test_the_tasks_of_ones_own_are_shown_with_the_token_only() -> None:
    with TestClient(create_app(Settings(store="memory:", token="secret"))) as client, forgotten():  # noqa: S106
        offered("mine", **WINE)
        for headers, shown in (({}, False), (bearer("wrong"), False), (bearer("secret"), True)):
            answer = client.get("/web/reference.json", headers=headers)
            assert answer.status_code == 200
            assert ("mine" in answer.text) is shown


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_head_request_gets_the_head_alone(client: TestClient) -> None:
    answer = client.head("/web")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len(TEXTS[PAGE].encode())


@pytest.mark.parametrize("name", ["missing.js", "..%2fapp.py", "%2e%2e%2fapp.py", "splits", "%00"])
def test_no_other_file_is_sent(client: TestClient, name: str) -> None:
    answer = client.get(f"/web/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/web", "/web/main.js", "/web/reference.json"])
def test_files_are_only_read(client: TestClient, path: str) -> None:
    answer = client.post(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["code"] == "METHOD_NOT_ALLOWED"


def test_all_of_it_is_small() -> None:
    assert sum(len(text.encode()) for text in TEXTS.values()) + LARGEST_POOL < LARGEST_PAGE
    lengths = {name: TEXTS[name].count("\n") for name in SOURCES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_reference_is_rendered_from_the_code() -> None:
    assert TEXTS["reference.json"] == render_page.render(), "run python -m bench.render_page"
    played = {policy["name"] for policy in json.loads(TEXTS["reference.json"])["policies"]}
    assert played == {*render_page.CONSTANTS, *render_page.RULES}
    assert set(re.findall(r'^  "?([\w-]+)"?\(.*\) \{$', TEXTS["policies.js"], re.MULTILINE)) == set(render_page.RULES)


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_is_loaded_from_elsewhere_and_nothing_is_inline(name: str) -> None:
    text = TEXTS[name].replace('"http://www.w3.org/2000/svg"', "")  # a name, not an address
    assert not re.search(r"(https?:)?//\w+\.\w+", text)
    assert not re.search(r"""\son\w+=|\sstyle=|javascript:|innerHTML|eval\(|setAttribute\("style""", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style", text)


def test_every_file_that_is_named_is_there() -> None:
    pattern = r'(?:from "\./|"web/|(?:href|src)=")(\w+\.(?:js|css|svg|html|json))"'
    named = {name for text in TEXTS.values() for name in re.findall(pattern, text)}
    assert named == set(TEXTS) - {PAGE}


def test_scripts_find_what_they_ask_for_in_the_page() -> None:
    parts = set(re.findall(r'data-part="(\w+)"', TEXTS[PAGE]))
    of_board = {"leaderboard.js"}
    for page, scripts in ((PAGE, set(TEXTS) - of_board), ("leaderboard.html", of_board)):
        ids = set(re.findall(r'\sid="([\w-]+)"', TEXTS[page]))
        asked = {name for script in scripts for name in re.findall(r'byId\("([\w-]+)"\)', TEXTS[script])}
        assert len(asked) > 15
        assert asked <= ids
    assert set(re.findall(r"parts\.(\w+)[.,)\[]", TEXTS["view.js"])) <= parts


@pytest.mark.parametrize("page", [PAGE, "leaderboard.html"])
def test_every_control_has_a_name(page: str) -> None:
    labelled = set(re.findall(r'<label for="([\w-]+)"', TEXTS[page]))
    for control, name in re.findall(
        r'(<(?:input|select)[^>]* id="([\w-]+)"[^>]*>|<(?:input|select)[^>]*>)', TEXTS[page]
    ):
        before = TEXTS[page][: TEXTS[page].index(control)]
        assert name in labelled or before.rfind("<label") > before.rfind("</label>"), control


def test_pictures_of_it_are_small() -> None:
    pictures = list((ROOT / "docs").glob("page-*.png"))
    assert len(pictures) == 4
    assert max(picture.stat().st_size for picture in pictures) < LARGEST_PICTURE
