"""HTTP requests to a server of this environment, for what its WebSocket does not offer: grades and keys."""

from __future__ import annotations

import json
import time
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request, urlopen

from dataselect_env.integrations.remote import TIMEOUT, RemoteError, websocket_url
from dataselect_env.server.settings import token_headers

LONGEST_ANSWER = 16 << 20
"""Bytes of an answer that are read."""
ATTEMPTS = 4
"""How often a request is sent that gets no answer, or that the server cannot handle at the moment."""
BUSY = (429, 502, 503, 504)
"""Statuses after which the same request may succeed."""
_SCHEMES = {"ws": "http", "wss": "https"}


def http_url(url: str, path: str) -> str:
    """Return the HTTP address of a path on a server: ``http://host:7860/grader`` for ``ws://host:7860/ws``.

    Raises:
        InvalidInput: ``url`` is not the address of a server.
    """
    scheme, host, base, query, _ = urlsplit(websocket_url(url))
    return urlunsplit((_SCHEMES[scheme], host, base.removesuffix("/ws") + path, query, ""))


def ask(url: str, path: str, data: dict[str, Any] | None = None, *, pause: float = 1.0) -> Any:
    """Return the JSON that a server answers with.

    If the server needs a token, set ``DATASELECT_TOKEN``.

    Args:
        url: Address of the server.
        path: Path of the request, such as ``/keys``.
        data: Body of a POST; None sends a GET.
        pause: Seconds before a request is sent again; they double each time.

    Raises:
        InvalidInput: ``url`` is not the address of a server.
        RemoteError: The server cannot be reached, refuses the request, or its answer is not JSON.
    """
    address = http_url(url, path)
    body = None if data is None else json.dumps(data).encode()
    request = Request(address, body, {"Content-Type": "application/json"})  # noqa: S310  (the scheme is http or https)
    for name, value in token_headers().items():
        request.add_unredirected_header(name, value)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                return json.loads(answer.read(LONGEST_ANSWER))
        except HTTPError as error:
            with error:
                text = error.read(LONGEST_ANSWER)
            if error.code not in BUSY or attempt == ATTEMPTS:
                raise RemoteError(f"url: {address} answers {error.code}{_reason(text)}", field="url") from error
        except (OSError, HTTPException) as error:
            if attempt == ATTEMPTS:
                reason = error.reason if isinstance(error, URLError) else error
                raise RemoteError(f"url: no answer from {address} ({reason})", field="url") from error
        except ValueError as error:
            raise RemoteError(f"{address} answers with something that is not JSON", field="url") from error
        time.sleep(pause * 2 ** (attempt - 1))
    raise AssertionError  # the last attempt returns or raises


def _reason(text: bytes) -> str:
    """Return the message in an error of the environment."""
    try:
        return f": {json.loads(text)['message']}"
    except (ValueError, KeyError, TypeError):
        return ""
