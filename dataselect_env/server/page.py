"""The page to play and watch an episode: the files of ``web/``, served as they are.

It needs no build step and loads nothing from other hosts, which its content security policy enforces. The middleware
adds who may frame it.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from dataselect_env.core.errors import InvalidInput, NotFound
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import TASKS, Task
from dataselect_env.server.access import shows_token
from dataselect_env.server.settings import Settings
from dataselect_env.server.threads import SHOW

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).with_name("web")
PAGE, REFERENCE = "index.html", "reference.json"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
"""By extension; what the operating system knows of them differs from machine to machine."""
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
HEADERS = {
    "Cache-Control": "no-cache",  # caches must revalidate
    "Vary": "Accept-Encoding",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
}

files = StaticFiles(directory=FOLDER)


def described(task: Task) -> dict[str, Any]:
    """Return a task as the page shows it."""
    plain = dataclasses.asdict(dataclasses.replace(task, source=None))
    del plain["source"], plain["digest"]
    texts = ("pinned", "success_criteria", "score_formula")
    return plain | {name: getattr(task, name) for name in texts}


def constant_action(name: str, task: Task) -> dict[str, Any] | None:
    """Return the action that a constant policy repeats on a task; None for a policy that does not know the task."""
    from dataselect_env.policies import Policy, get_policy  # noqa: PLC0415  (only custom tasks need it)

    policy = get_policy(name)
    assert isinstance(policy, Policy)  # noqa: S101  (none of them is an oracle)
    try:
        action = policy.start(task, np.random.default_rng(0))(None)  # type: ignore[arg-type]  # constants look at neither
    except InvalidInput:
        return None
    return action.model_dump(include=set(Action.model_fields) - {"metadata"})


def reference_with(custom: list[Task]) -> str:
    """Return the JSON of ``reference.json``, tasks and policies as the page shows them, with custom tasks added."""
    content = json.loads((FOLDER / REFERENCE).read_bytes())
    content["tasks"] |= {task.task_id: described(task) for task in custom}
    for policy in content["policies"]:
        if policy["actions"] is not None:
            policy["actions"] |= {task.task_id: constant_action(policy["name"], task) for task in custom}
    return json.dumps(content)


@router.get("/")
@router.get("/web")
async def page(request: Request) -> Response:
    """Send the page; ``/web`` is where Hugging Face looks for it."""
    return await _send(request, PAGE)


@router.get("/web/")
async def page_with_slash() -> Response:
    """Redirect to ``/web``: the links of the page are relative to it."""
    return RedirectResponse("../web")


@router.get(f"/web/{REFERENCE}")
async def reference(request: Request) -> Response:
    """Send what the page knows of tasks and policies; without the token of the server only what is built in."""
    custom = [task for task in TASKS.values() if not task.built_in]
    settings: Settings = request.app.state.get_service().settings
    if not custom or not shows_token(request.scope, settings.bearer):
        return await _send(request, REFERENCE)
    return Response(await SHOW.run(reference_with, custom), media_type=MEDIA_TYPES[".json"], headers=HEADERS)


@router.get("/web/{name}")
async def web_file(request: Request, name: str) -> Response:
    """Send one of the files that the page loads."""
    return await _send(request, name)


@cache
def _compressed(name: str) -> bytes:
    return gzip.compress((FOLDER / name).read_bytes(), mtime=0)


async def _send(request: Request, name: str) -> Response:
    kind = MEDIA_TYPES.get(Path(name).suffix)
    if kind is None:
        raise NotFound("The page has no such file.")
    response = await files.get_response(name, request.scope)
    if "gzip" in request.headers.get("accept-encoding", ""):
        kept = {
            "etag": f"W/{response.headers['etag']}",
            "content-encoding": "gzip",
        }  # of another file than the plain one
        if response.status_code == HTTPStatus.OK:
            response = Response(_compressed(name), headers=kept, media_type=kind)
        response.headers["etag"] = kept["etag"]
    response.headers.update(HEADERS)
    if "content-type" in response.headers:  # an answer 304 has none
        response.headers["content-type"] = kind
    return response
