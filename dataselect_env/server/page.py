"""The page to play and watch an episode: the files of ``web/`` as they are, with a tag that says when they changed.

It needs no build step and loads nothing from other hosts; its content security policy holds it to that. Who may frame
it, every answer of the server says.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from dataselect_env.core.errors import InvalidInput, NotFound
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import TASKS, Task

router = APIRouter(include_in_schema=False)

PAGE, REFERENCE = "index.html", "reference.json"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
SOURCES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",  # the WebSocket too
    "base-uri": "'none'",
    "form-action": "'none'",
}
CONTENT_SECURITY_POLICY = "; ".join(f"{directive} {sources}" for directive, sources in SOURCES.items())


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file as it is sent."""

    content: bytes
    headers: dict[str, str]


@cache
def web_files() -> dict[str, WebFile]:
    """Return all files of the page by name; read once."""
    files = {}
    for entry in resources.files("dataselect_env.server").joinpath("web").iterdir():
        kind = MEDIA_TYPES.get("." + entry.name.rpartition(".")[2])
        if kind is not None:
            content = entry.read_bytes()
            headers = {
                "Content-Type": kind,
                "ETag": _tag(content),
                "Cache-Control": "no-cache",  # keep it, but ask whether it changed
                "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            }
            files[entry.name] = WebFile(content, headers)
    return files


def described(task: Task) -> dict[str, Any]:
    """Return a task as the page knows it."""
    plain = dataclasses.asdict(dataclasses.replace(task, source=None))
    del plain["source"], plain["digest"]
    texts = ("built_in", "success_criteria", "score_formula")
    return plain | {name: getattr(task, name) for name in texts}


def constant_action(name: str, task: Task) -> dict[str, Any] | None:
    """Return what a constant policy does on a task, None where it is not known."""
    from dataselect_env.policies import Policy, get_policy  # noqa: PLC0415  (for tasks of a user's own only)

    policy = get_policy(name)
    assert isinstance(policy, Policy)  # noqa: S101  (none of them is an oracle)
    try:
        action = policy.start(task, np.random.default_rng(0))(None)  # type: ignore[arg-type]  # constants look at neither
    except InvalidInput:
        return None
    return action.model_dump(include=set(Action.model_fields) - {"metadata"})


def reference() -> WebFile:
    """Return what the page knows of tasks and policies, with tasks of a user's own where there are some."""
    file = web_files()[REFERENCE]
    own = [task for task in TASKS.values() if not task.built_in]
    if not own:
        return file
    content = json.loads(file.content)
    content["tasks"] |= {task.task_id: described(task) for task in own}
    for policy in content["policies"]:
        if policy["actions"] is not None:
            policy["actions"] |= {task.task_id: constant_action(policy["name"], task) for task in own}
    text = json.dumps(content).encode()
    return WebFile(text, file.headers | {"ETag": _tag(text)})


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


@router.get("/")
@router.get("/web")
async def page(request: Request) -> Response:
    """Show the page; ``/web`` is where Hugging Face looks for it."""
    return _send(request, PAGE)


@router.get("/web/")
async def page_with_slash() -> Response:
    """Lead to the page: its links are relative and would miss from here."""
    return RedirectResponse("../web")


@router.get("/web/{name}")
async def web_file(request: Request, name: str) -> Response:
    """Send one of the files that the page consists of."""
    return _send(request, name)


def _send(request: Request, name: str) -> Response:
    file = reference() if name == REFERENCE else web_files().get(name)
    if file is None:
        raise NotFound("The page has no such file.")
    tags = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if tags & {file.headers["ETag"], "*"}:
        return Response(status_code=304, headers={k: v for k, v in file.headers.items() if k != "Content-Type"})
    return Response(file.content, headers=file.headers)
