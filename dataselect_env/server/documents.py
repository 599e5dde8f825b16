"""The OpenAPI document, and a console for it whose script comes with the package: neither needs other hosts."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html

from dataselect_env.core.errors import NotFound
from dataselect_env.server import openapi
from dataselect_env.server.catalogue import NAME
from dataselect_env.server.threads import SHOW

router = APIRouter(include_in_schema=False)

SCRIPT, STYLE = "swagger-ui-bundle.js", "swagger-ui.css"
MEDIA_TYPES = {SCRIPT: "text/javascript", STYLE: "text/css"}


def document_text(app: FastAPI, root_path: str) -> str:
    """Return the OpenAPI document as JSON; ``root_path`` is the prefix under which the application is mounted."""
    servers: dict[str, Any] = {"servers": [{"url": root_path}]} if root_path else {}
    return json.dumps(servers | openapi.document(app))


def file_text(name: str) -> str:
    """Return a file of the console."""
    return (files("fastapi_offline") / "static" / name).read_text(encoding="utf-8")


@router.get("/openapi.json")
async def document(request: Request) -> Response:
    """Send the OpenAPI document."""
    text = await SHOW.run(document_text, request.app, request.scope.get("root_path", "").rstrip("/"))
    return Response(text, media_type="application/json")


@router.get("/docs")
async def console() -> Response:
    """Send the console, in which every route can be tried."""
    return get_swagger_ui_html(
        title=NAME,
        openapi_url="openapi.json",
        swagger_js_url=f"docs/{SCRIPT}",
        swagger_css_url=f"docs/{STYLE}",
        swagger_favicon_url="web/favicon.svg",
    )


@router.get("/docs/{name}")
async def console_file(name: str) -> Response:
    """Send one of the files that the console loads."""
    if name not in MEDIA_TYPES:
        raise NotFound("The console has no such file.")
    return Response(await SHOW.run(file_text, name), media_type=MEDIA_TYPES[name])
