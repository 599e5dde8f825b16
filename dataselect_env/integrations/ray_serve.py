"""Ray Serve: the server as replicas on a cluster.

    from ray import serve
    from dataselect_env.integrations.ray_serve import application

    serve.run(application(num_replicas=2))

From a shell: ``serve run dataselect_env.integrations.ray_serve:builder num_replicas=2``. Clients connect to Serve's
address like to any other server of the environment.

A WebSocket and its episode stay with one replica. HTTP requests are routed by their ``x-session-id`` header: requests
with the same value reach the same replica. Without the header they may reach any replica, and a replica that did not
start the episode finds it only in a store that the replicas share: PostgreSQL, or a SQLite file on one machine.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.config import RequestRouterConfig

from dataselect_env.server.settings import Settings

DEFAULT_REPLICAS = 2
HEADROOM = 64
"""Requests that a replica accepts in addition to its WebSocket sessions. Serve counts each open WebSocket as a request,
and its default limit of 5 would keep the sixth session waiting until its client times out."""
STICKY_ROUTER = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
"""Routes requests with the same ``x-session-id`` to the same replica; experimental in Ray 2.60."""


def application(
    num_replicas: int = DEFAULT_REPLICAS, settings: Settings | None = None, **options: Any
) -> serve.Application:
    """Return the application for ``serve.run``.

    Args:
        num_replicas: Copies of the server; each accepts ``settings.max_sessions`` sessions.
        settings: Settings of every replica; default: those of the calling process's environment variables. Serve
            chooses host and port (``serve.start(http_options=...)``).
        options: Options of ``serve.deployment``, such as ``autoscaling_config`` or ``ray_actor_options``.

    Raises:
        SettingsError: An environment variable has an invalid value.
    """
    chosen = settings or Settings.load()

    def build() -> FastAPI:
        from dataselect_env.server.app import create_app  # noqa: PLC0415  (made on the replica: it cannot be pickled)

        return create_app(chosen)

    defaults = {
        "name": "DataSelectEnv",
        "num_replicas": num_replicas,
        "max_ongoing_requests": chosen.max_sessions + HEADROOM,
        "request_router_config": RequestRouterConfig(request_router_class=STICKY_ROUTER),
    }
    deployment = serve.deployment(**(defaults | options))(serve.ingress(build)())
    return deployment.bind()


def builder(args: dict[str, Any]) -> serve.Application:
    """Return :func:`application` for arguments from a shell or a Serve config file."""
    return application(**{**args, "num_replicas": int(args.get("num_replicas", DEFAULT_REPLICAS))})
