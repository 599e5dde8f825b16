"""Token, origins and rate, the same on every transport."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from dataselect_env.server.access import OPEN_PATHS, is_same_site, route_of
from dataselect_env.server.app import create_app
from dataselect_env.server.settings import Settings

TOKEN = "a-token.of_ours~1"  # noqa: S105
MakeApp = Callable[..., FastAPI]
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def served(**settings: Any) -> TestClient:
    return TestClient(create_app(Settings(store="memory:", **settings)))


def shake_hands(client: TestClient, headers: Any, subprotocols: list[str] | None = None) -> int:
    """Return the status that a WebSocket handshake is answered with."""
    refusal = None
    try:
        with client.websocket_connect("/ws", headers=headers, subprotocols=subprotocols) as socket:
            socket.send_text('{"type": "reset"}')
            assert socket.receive_json()["type"] == "observation"
    except WebSocketDenialResponse as response:
        refusal = response
    if refusal is None:
        return 101
    assert set(refusal.json()) == {"code", "message", "field"}
    return refusal.status_code


# --- token ----------------------------------------------------------------------------------------------------------


def test_without_the_token_everything_is_closed_but_probes_and_the_page() -> None:
    with served(token=TOKEN) as client:
        app: Any = client.app
        for path, methods in app.openapi()["paths"].items():
            for method in methods:
                response = client.request(method, path.replace("{env_name}", "DataSelectEnv"))
                assert response.status_code == (200 if path in OPEN_PATHS else 401), path
        for path in ("/docs", "/openapi.json", "/nothing", "/web/a/b", "/website"):
            assert client.get(path).status_code == 401
        assert client.post("/web/tasks", json={}).status_code == 401
        for path in ("/", "/web", "/web/main.js"):  # the page asks its user for the token
            assert client.get(path).status_code == 200


def under_a_prefix(how: str, app: FastAPI) -> TestClient:
    """Return a client of an application that is mounted in another one, or behind a proxy, or both."""
    parent = FastAPI()
    parent.mount("/env", app)
    return {
        "root path": TestClient(app, root_path="/env"),
        "mounted": TestClient(parent),
        "both": TestClient(parent, base_url="http://testserver/outer", root_path="/outer"),
    }[how]


@pytest.mark.parametrize("how", ["root path", "mounted", "both"])
def test_what_is_open_is_a_matter_of_the_route_and_not_of_a_prefix(how: str, make_app: MakeApp) -> None:
    client = under_a_prefix(how, make_app(token=TOKEN))
    for path in ("/env/health", "/env/ready", "/env/", "/env/web", "/env/web/main.js"):
        assert client.get(path).status_code == 200, path
    for path in ("/env/tasks", "/env/metrics", "/env/nothing/health", "/env/health/nothing", "/env/env/health"):
        assert client.get(path).status_code == 401, path
    assert client.get("/env/tasks", headers=BEARER).status_code == 200
    foreign = {"Origin": "https://foreign.example"}
    assert [client.get(f"/env{path}", headers=foreign).status_code for path in ("/health", "/tasks")] == [200, 403]


@pytest.mark.parametrize(
    ("path", "root", "route"),
    [
        ("/health", "", "/health"),
        ("/env/health", "/env", "/health"),
        ("/environment/health", "/env", "/environment/health"),
        ("/health", "/env", "/health"),
        ("/env", "/env", ""),
        ("/env//health", "/env/", "/health"),
    ],
)
def test_a_route_is_what_the_router_compares(path: str, root: str, route: str) -> None:
    assert route_of({"type": "http", "path": path, "root_path": root}) == route


@pytest.mark.parametrize(
    "header",
    [
        *("", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"),
        *(f"Bearer {TOKEN} {TOKEN}", f"Bearer \xff{TOKEN}"),
    ],
)
def test_a_wrong_token_is_refused_alike_on_every_transport(header: str) -> None:
    headers = {b"Authorization": header.encode("latin-1")}
    with served(token=TOKEN) as client:
        for path in ("/reset", "/mcp"):
            response = client.post(path, headers=headers)
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert response.json()["code"] == "UNAUTHORIZED"
            assert TOKEN not in response.text
        assert shake_hands(client, headers) == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_opens_every_transport(scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    with served(token=TOKEN) as client:
        assert client.post("/reset", headers=headers).status_code == 200
        assert client.post("/mcp", headers=headers).status_code == 200
        assert shake_hands(client, headers) == 101


def test_a_browser_shows_the_token_as_a_protocol() -> None:
    with served(token=TOKEN) as client:
        with client.websocket_connect("/ws", subprotocols=["bearer", TOKEN]) as socket:
            assert socket.accepted_subprotocol == "bearer"
        assert shake_hands(client, {}, ["bearer", "wrong"]) == 401
        assert shake_hands(client, {}, ["bearer"]) == 401
        assert shake_hands(client, {}, [TOKEN, "bearer"]) == 401


def test_without_a_token_in_the_settings_none_is_asked_for() -> None:
    with served() as client:
        assert shake_hands(client, {}) == 101
        assert shake_hands(client, BEARER) == 101
        assert client.post("/reset", headers={"Authorization": "Basic x"}).status_code == 200


# --- origins --------------------------------------------------------------------------------------------------------

LOCAL = [
    "http://localhost",
    "http://localhost:3000",
    "https://app.localhost:1",
    "http://127.0.0.1:8000",
    "http://[::1]",
]
FOREIGN = ["https://evil.example", "null", "http://localhost.evil.example", "https://testserver.evil.example", "", "x"]


@pytest.mark.parametrize("origin", [*LOCAL, "http://testserver", "https://testserver"])
def test_its_own_pages_and_local_ones_may_use_it(origin: str) -> None:
    with served() as client:
        headers = {"Origin": origin}
        assert shake_hands(client, headers) == 101
        assert client.post("/reset", headers=headers).status_code == 200


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_page_cannot_drive_it(origin: str) -> None:
    with served() as client:
        headers = {"Origin": origin}
        assert shake_hands(client, headers) == 403
        for path in ("/reset", "/step", "/mcp"):
            response = client.post(path, headers=headers)
            assert (response.status_code, response.json()["code"]) == (403, "FORBIDDEN_ORIGIN")
            assert "access-control-allow-origin" not in response.headers
        assert client.options("/reset", headers={**headers, "Access-Control-Request-Method": "POST"}).status_code == 403
        assert client.get("/state").json()["code"] == "NO_EPISODE"
        assert client.get("/health", headers=headers).status_code == 200


def test_origins_that_are_named_may_use_it_and_read_the_answers_even_refusals() -> None:
    origin = "https://lab.example:8443"
    with served(allowed_origins=f" https://other.example, {origin}", token=TOKEN) as client:
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type, x-request-id",
        }
        preflight = client.options("/reset", headers=asked)  # a browser sends no token with it
        assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (200, origin)
        for headers, status in (({}, 401), (BEARER, 200)):
            response = client.post("/reset", headers={"Origin": origin, **headers})
            assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (status, origin)
        assert shake_hands(client, {"Origin": origin, **BEARER}) == 101
        assert shake_hands(client, {"Origin": "https://lab.example", **BEARER}) == 403


def test_all_origins_can_be_allowed() -> None:
    with served(allowed_origins="*") as client:
        assert shake_hands(client, {"Origin": "https://anywhere.example"}) == 101
        response = client.post("/reset", headers={"Origin": "https://anywhere.example"})
        assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("origin", "host", "on_loopback", "same"),
    [
        ("https://owner-space.hf.space", "owner-space.hf.space", False, True),  # behind a proxy that ends TLS
        ("http://lab:7860", "lab:7860", False, True),
        ("http://lab:80", "lab", False, True),
        ("http://lab:7861", "lab:7860", False, False),
        ("http://192.168.1.5:7860", "192.168.1.5:7860", False, True),
        ("http://127.0.0.2:7860", "127.0.0.2:7860", True, True),
        ("http://rebound.example:7860", "rebound.example:7860", True, False),
        ("http://lab:99999", "lab:99999", False, False),
        ("http://[", "[", False, False),
        ("", "", False, False),
    ],
)
def test_a_page_is_its_own_when_its_address_is(origin: str, host: str, on_loopback: bool, same: bool) -> None:
    assert is_same_site(origin, host, on_loopback=on_loopback) == same


HOSTS = {
    **dict.fromkeys(("localhost", "LOCALHOST:7860", "app.localhost", "127.0.0.1:7860", "[::1]:7860", "mybox"), 200),
    **dict.fromkeys(("rebound.example:7860", "localhost.rebound.example", "127.0.0.1.rebound.example", "["), 403),
}


def over(address: str, app: Any) -> TestClient:
    """Return a client that reaches the server under an address; it says that it is a proxy for somebody else."""

    async def at_address(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            scope = {**scope, "server": (address, 7860), "client": ("203.0.113.9", 1)}
        await app(scope, receive, send)

    return TestClient(at_address)


@pytest.mark.parametrize("host", HOSTS)
def test_a_rebound_name_reads_nothing_on_this_machine(host: str, make_app: MakeApp) -> None:
    """A page under a domain that resolves to this machine sends its GET requests without an origin."""
    app = make_app()
    for address in ("127.0.0.1", "127.0.1.1", "::1"):
        client = over(address, app)
        for path in ("/tasks", "/metrics", "/web", "/docs"):
            response = client.get(path, headers={"Host": host})
            assert response.status_code == HOSTS[host], path
            assert ("FORBIDDEN_HOST" in response.text) == (HOSTS[host] == 403)
        assert shake_hands(client, {"Host": host}) == (101 if HOSTS[host] == 200 else 403)
        assert client.get("/health", headers={"Host": host}).status_code == 200
    assert over("192.168.1.5", app).get("/tasks", headers={"Host": host}).status_code == 200


def test_a_name_that_is_allowed_or_a_token_lets_a_proxy_on_this_machine_through(make_app: MakeApp) -> None:
    headers = {"Host": "lab.example"}
    for allowed in ("https://lab.example", "*"):
        app = make_app(allowed_origins=allowed)
        assert over("127.0.0.1", app).get("/tasks", headers=headers).status_code == 200
    app = make_app(token=TOKEN)
    assert over("127.0.0.1", app).get("/tasks", headers={**headers, **BEARER}).status_code == 200


# --- rate -----------------------------------------------------------------------------------------------------------


def test_too_many_requests_are_refused_alike_on_every_transport() -> None:
    with served(rate_limit=0.001) as client:
        assert client.get("/tasks").status_code == 200  # the only one for a long time
        response = client.get("/tasks")
        assert (response.status_code, response.json()["code"]) == (429, "TOO_MANY_REQUESTS")
        assert int(response.headers["Retry-After"]) > 1
        assert shake_hands(client, {}) == 429
        assert client.get("/health").status_code == 200


def test_a_session_survives_too_many_messages() -> None:
    with served(rate_limit=2) as client, client.websocket_connect("/ws") as socket:
        codes = [""]
        while codes[-1] != "TOO_MANY_REQUESTS":  # sooner or later: more than two messages a second get through
            socket.send_text('{"type": "state"}')
            codes.append(socket.receive_json()["data"]["code"])
            assert len(codes) < 1_000
        assert codes[1] == "NO_EPISODE"
