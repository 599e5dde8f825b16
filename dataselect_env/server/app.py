"""The server: HTTP, WebSocket, MCP and Task API around one service. No word of the domain.

``app`` is the application for any ASGI server, ``main`` serves it; settings come from the environment.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from dataselect_env import __version__
from dataselect_env.core.errors import EnvError, InvalidInput, MethodNotAllowed, NotFound, as_client_error
from dataselect_env.server import metrics, openapi, page, routes, task_api, websocket
from dataselect_env.server.catalogue import DESCRIPTION, NAME
from dataselect_env.server.mcp import http
from dataselect_env.server.mcp.sessions import McpSessions
from dataselect_env.server.middleware import Front
from dataselect_env.server.process import options, run
from dataselect_env.server.service import Service
from dataselect_env.server.settings import Settings, SettingsError
from dataselect_env.server.start_message import log_start
from dataselect_env.server.store import open_store
from dataselect_env.server.store.base import EpisodeStore
from dataselect_env.server.store.sqlite import MEMORY
from dataselect_env.server.supervisor import Supervisor, parent_is_alive

DOCUMENT_DELAY = 0.5
"""Seconds after the start at which the OpenAPI document is made, on a thread, before anybody waits for it."""
STOP_MARGIN = 5.0
"""Seconds that worker processes may take to stop beyond the time that requests have."""


def create_app(settings: Settings | None = None, store: EpisodeStore | None = None) -> FastAPI:
    """Return an application with its own service.

    Args:
        settings: None reads them from the environment when the application starts, or at the first request where the
            server that it runs in tells nobody about its start.
        store: Where episodes are kept; the application closes it. None opens the one that the settings name.
    """
    opened: list[Service] = []
    mcp_sessions: list[McpSessions] = []

    def get_service() -> Service:
        if not opened:
            chosen = settings or Settings.load()
            load_custom_tasks(chosen)
            opened.append(Service(chosen, store or open_store(chosen.store)))
            mcp_sessions[:] = [McpSessions(opened[0].sessions)]
        return opened[0]

    def get_mcp_sessions() -> McpSessions:
        get_service()
        return mcp_sessions[0]

    async def prepare_document(service: Service) -> None:
        await service.sessions.wait_for_stop(DOCUMENT_DELAY)
        if not service.sessions.is_stopping:
            await asyncio.to_thread(app.openapi)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service = get_service()
        tasks = [asyncio.create_task(service.prune()), asyncio.create_task(prepare_document(service))]
        yield
        service.sessions.stop()
        try:
            await asyncio.gather(*tasks)
        finally:
            opened.pop().close()

    app = FastAPI(title=NAME, description=DESCRIPTION, version=__version__, lifespan=lifespan)
    app.state.get_service = get_service
    app.state.get_mcp_sessions = get_mcp_sessions
    app.include_router(routes.router)
    app.include_router(http.router)
    app.include_router(page.router)
    app.include_router(task_api.router)

    @app.websocket("/ws")
    async def serve_websocket(socket: WebSocket) -> None:
        await websocket.serve(socket, get_service(), get_mcp_sessions())

    for kind in (EnvError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _answer_error)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: Front(build(), get_service)  # type: ignore[method-assign]
    return app


async def _answer_error(request: Request, error: Exception) -> JSONResponse:
    """Answer whatever was raised in the one error shape."""
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        headers = dict(error.headers or {})
        if error.status_code == MethodNotAllowed.status:
            headers["Allow"] = ", ".join(_methods_of(request))
        error = _framework_error(error)
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        field = str(first["loc"][-1])
        error = InvalidInput(f"{field}: {first['msg']}", field=field)
    told = as_client_error(error)
    routes.service_of(request).metrics.count_error(told)
    return JSONResponse(told.body(), status_code=told.status, headers=headers | told.headers)


def _methods_of(request: Request) -> list[str]:
    """Return the methods that the path of a request takes; the framework itself names those of one route alone."""

    def is_taken(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return [method for method in ("DELETE", "GET", "POST") if is_taken(method)]


def _framework_error(error: HTTPException) -> Exception:
    """Return our name for what the web framework refuses by itself: unknown routes and methods."""
    if error.status_code == NotFound.status:
        return NotFound("There is no such route; /docs lists those there are.")
    if error.status_code == MethodNotAllowed.status:
        return MethodNotAllowed("This route takes another method; /docs tells which.")
    return error


def load_custom_tasks(settings: Settings) -> None:
    """Offer the tasks of the task file that the settings name, where they name one.

    Raises:
        SettingsError: It cannot be used.
    """
    if settings.tasks is None:
        return
    from dataselect_env.custom.task_file import TaskFileError, load_tasks  # noqa: PLC0415  (most servers have no such file)

    try:
        load_tasks(settings.tasks)
    except TaskFileError as error:
        raise SettingsError(f"DATASELECT_TASKS: {error}") from error


def serve(settings: Settings) -> None:
    """Serve until interrupted, with one process or several.

    Raises:
        SettingsError: The configured store or task file cannot be used, or several workers cannot share the store.
        SystemExit: The server could not start, or did not stop in time.
    """
    load_custom_tasks(settings)
    store = open_store(settings.store)  # before the server starts, so that a mistake is reported in a sentence
    if settings.workers == 1:
        serve_app(create_app(settings, store), settings, on_start=partial(log_start, settings, store.url))
        return
    store.close()
    if store.url == MEMORY:
        raise SettingsError("DATASELECT_WORKERS: several processes cannot share a store in memory; name a file for it.")
    if sys.platform == "win32":
        raise SettingsError("DATASELECT_WORKERS: several processes need Linux or macOS.")
    settings = settings.model_copy(update={"store": store.url})  # the default may have given way to another place
    listener = uvicorn.Config("", **options(settings)).bind_socket()
    log_start(settings, store.url)
    with metrics.shared_folder() as folder:
        supervisor = Supervisor(
            serve_worker,
            (settings, listener, folder),
            count=settings.workers,
            patience=2 * settings.stop_timeout + STOP_MARGIN,  # sessions first, then requests
            on_exit=metrics.forget_worker,
        )
        status = supervisor.run()
    sys.exit(status)


def serve_app(app: FastAPI, settings: Settings, **how: Any) -> None:
    """Serve an application that :func:`create_app` returned; ``how`` are further arguments of ``process.run``."""

    async def drain() -> None:
        service: Service = app.state.get_service()
        await service.sessions.drain(settings.stop_timeout)

    run(app, settings, drain, **how)


def serve_worker(settings: Settings, listener: socket.socket, folder: str, on_start: Callable[[], None]) -> None:
    """Serve in a worker process, on a socket that all workers share.

    Args:
        settings: Settings of the server.
        listener: The socket.
        folder: Folder of the workers' metrics; removed here when the process that made it has been killed.
        on_start: Called once connections are accepted.
    """
    try:
        serve_app(create_app(settings), settings, listener=listener, on_start=on_start)
    finally:
        if not parent_is_alive():
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Serve with the settings of the environment: ``python server.py`` and the console script ``server``."""
    try:
        serve(Settings.load())
    except SettingsError as error:
        sys.exit(f"error: {error}")


app = create_app()
