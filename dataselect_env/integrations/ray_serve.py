"""Ray Serve: the server as replicas on a cluster.

    from ray import serve
    from dataselect_env.integrations.ray_serve import application

    serve.run(application(num_replicas=2))

or, from a shell, ``serve run dataselect_env.integrations.ray_serve:builder num_replicas=2``. Clients connect to Serve's
address as to any other server of the environment.

A WebSocket stays with one replica for its life, and so does its episode. HTTP requests are told apart by their
``x-session-id`` header: one value, one replica. Without it they go anywhere, and a replica that did not start the
episode finds it only where replicas share a store, which a SQLite file does on one machine.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.config import RequestRouterConfig

from dataselect_env.server.settings import Settings

DEFAULT_REPLICAS = 2
HEADROOM = 64
"""Requests that a replica takes beside its WebSocket sessions. Each open WebSocket counts as a request to Serve, whose
own limit of 5 would leave the sixth session waiting until its client gives up."""
STICKY_ROUTER = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
"""Sends requests with the same ``x-session-id`` to the same replica (Ray 2.60, experimental there)."""


def application(
    num_replicas: int = DEFAULT_REPLICAS, settings: Settings | None = None, **options: Any
) -> serve.Application:
    """Return the application for ``serve.run``.

    Args:
        num_replicas: Copies of the server; each takes ``settings.max_sessions`` sessions.
        settings: Of every replica; default those of the environment that this is called in. Host and port are Serve's
            own business (``serve.start(http_options=...)``).
        options: For ``serve.deployment``, such as ``autoscaling_config`` or ``ray_actor_options``.

    Raises:
        SettingsError: The environment has a setting that cannot be used.
    """
    chosen = settings or Settings.load()

    def build() -> FastAPI:
        from dataselect_env.server.app import create_app  # noqa: PLC0415  (made on the replica: it cannot be sent there)

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
    """Return :func:`application` with ``args`` as a shell or a Serve config file gives them."""
    return application(**{**args, "num_replicas": int(args.get("num_replicas", DEFAULT_REPLICAS))})
