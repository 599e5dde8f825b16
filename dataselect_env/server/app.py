"""The application: HTTP, WebSocket, MCP and Task API around one service.

``app`` is the application for any ASGI server and ``main`` serves it; settings come from the environment.
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
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from dataselect_env import __version__
from dataselect_env.core.errors import EnvError, InvalidInput, MethodNotAllowed, NotFound, as_client_error
from dataselect_env.server import (
    documents,
    episode_routes,
    leaderboard_routes,
    metrics,
    openapi,
    page,
    routes,
    task_api,
    websocket,
)
from dataselect_env.server.catalogue import DESCRIPTION, NAME
from dataselect_env.server.keyring import Keyring
from dataselect_env.server.mcp import routes as mcp_routes
from dataselect_env.server.middleware import RequestMiddleware
from dataselect_env.server.process import options, run
from dataselect_env.server.service import Service
from dataselect_env.server.settings import Settings, SettingsError
from dataselect_env.server.start_message import log_start
from dataselect_env.server.store import open_store
from dataselect_env.server.store.base import EpisodeStore
from dataselect_env.server.store.sqlite import MEMORY
from dataselect_env.server.supervisor import Supervisor, parent_is_alive
from dataselect_env.server.threads import SHOW

DOCUMENT_DELAY = 0.5
"""Seconds after the start at which a thread makes the OpenAPI document, so that clients need not wait for it."""
CLIENT_CLOSED_REQUEST = 499
"""Status of a request whose client has gone, for the log and the metrics; nginx uses the same."""
STOP_MARGIN = 5.0
"""Seconds that worker processes have to exit, in addition to the time for running requests."""


def create_app(settings: Settings | None = None, store: EpisodeStore | None = None) -> FastAPI:
    """Return an application with its own service.

    Args:
        settings: None reads them from the environment when the application starts, or at the first request under a
            server without lifespan events.
        store: Store of the episodes; the application closes it. None opens the store that the settings name.
    """
    opened: list[Service] = []
    tasks: list[asyncio.Task[None]] = []

    def get_service() -> Service:
        if not opened:
            chosen = settings or Settings.load()
            load_custom_tasks(chosen)
            opened.append(Service(chosen, store or open_store(chosen.store, chosen.synchronous)))
        return opened[0]

    def get_serving() -> Service:
        """Return the service; at the first request or at the start, whichever is earlier, begin to prune."""
        service = get_service()
        if not tasks:
            tasks.append(asyncio.create_task(service.prune()))
        return service

    async def prepare_document(service: Service) -> None:
        await service.sessions.wait_for_stop(DOCUMENT_DELAY)
        if not service.sessions.is_stopping:
            await SHOW.run(app.openapi)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service = get_serving()
        tasks.append(asyncio.create_task(prepare_document(service)))
        yield
        service.sessions.stop()
        try:
            await asyncio.gather(*tasks)
        finally:
            tasks.clear()
            await opened.pop().close()

    app = FastAPI(
        title=NAME,
        description=DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,  # FastAPI's own route makes the document on the event loop
        redirect_slashes=False,  # redirects are absolute, and behind a proxy lead from https to http
    )
    app.state.get_service = get_service
    app.include_router(routes.router)
    app.include_router(episode_routes.router)
    app.include_router(leaderboard_routes.router)
    app.include_router(mcp_routes.router)
    app.include_router(page.router)
    app.include_router(documents.router)
    app.include_router(task_api.router)

    @app.websocket("/ws")
    async def serve_websocket(socket: WebSocket) -> None:
        await websocket.serve(socket, get_service())

    for kind in (EnvError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _answer_error)
    app.add_exception_handler(ClientDisconnect, _note_departure)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: RequestMiddleware(build(), get_serving)  # type: ignore[method-assign]
    return app


async def _answer_error(request: Request, error: Exception) -> JSONResponse:
    """Return the response to an exception, in the one error shape."""
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
    reported = as_client_error(error)
    routes.service_of(request).metrics.count_error(reported)
    return JSONResponse(reported.body(), status_code=reported.status, headers=headers | reported.headers)


async def _note_departure(_request: Request, _error: Exception) -> Response:
    """Return the response to a client that hung up while it sent the body; it reaches nobody."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def _methods_of(request: Request) -> list[str]:
    """Return the methods of all routes at the path of a request; the framework names only those of one route."""

    def is_supported(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return [method for method in ("DELETE", "GET", "POST") if is_supported(method)]


def _framework_error(error: HTTPException) -> Exception:
    """Translate the framework's errors for unknown routes and methods into ours."""
    if error.status_code == NotFound.status:
        return NotFound("There is no such route; /docs lists all routes.")
    if error.status_code == MethodNotAllowed.status:
        return MethodNotAllowed("This route does not support the method; /docs lists the methods of all routes.")
    return error


def load_custom_tasks(settings: Settings) -> None:
    """Register the tasks of the task file in the settings, if there is one.

    Raises:
        SettingsError: The task file is not valid.
    """
    if settings.tasks is None:
        return
    from dataselect_env.custom.task_file import TaskFileError, load_tasks  # noqa: PLC0415  (most servers have no task file)

    try:
        load_tasks(settings.tasks)
    except TaskFileError as error:
        raise SettingsError(f"DATASELECT_TASKS: {error}") from error


def serve(settings: Settings) -> None:
    """Serve until interrupted, with one process or several.

    Raises:
        SettingsError: The configured store, task file or secret cannot be used, or several workers cannot share the
            store.
        SystemExit: The server could not start, or did not stop in time.
    """
    load_custom_tasks(settings)  # this and the next two before the start, so that an error is one sentence
    Keyring.of(settings)
    store = open_store(settings.store, settings.synchronous)
    if settings.workers == 1:
        serve_app(create_app(settings, store), settings, on_start=partial(log_start, settings, store.url))
        return
    asyncio.run(store.close())
    if store.url == MEMORY:
        raise SettingsError("DATASELECT_WORKERS: several processes cannot share a store in memory; name a file for it.")
    if sys.platform == "win32":
        raise SettingsError("DATASELECT_WORKERS: several processes need Linux or macOS.")
    settings = settings.model_copy(
        update={"store": store.url}
    )  # the default store may have been replaced by a temporary one
    listener = uvicorn.Config("", **options(settings)).bind_socket()
    log_start(settings, store.url)
    with metrics.shared_folder() as folder:
        supervisor = Supervisor(
            serve_worker,
            (settings, listener, folder),
            count=settings.workers,
            patience=2 * settings.stop_timeout + STOP_MARGIN,  # sessions first, then requests
            timeout=settings.worker_timeout,
            on_exit=metrics.forget_worker,
        )
        status = supervisor.run()
    sys.exit(status)


def serve_app(app: FastAPI, settings: Settings, **how: Any) -> None:
    """Serve an application of :func:`create_app`; ``how`` has further arguments of ``process.run``."""

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
