"""Ray Serve runs two replicas of the server on one machine; WebSocket and HTTP clients play against them.

pip install ".[postgres,ray-serve]" && python -m bench.consumers.ray_serve
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray import serve
from websockets.sync.client import connect

from bench.consumers.record import SEEDS, recorded, scores
from dataselect_env.core.tasks import PINNED
from dataselect_env.integrations.ray_serve import application
from dataselect_env.policies.reference import BEST_CONSTANTS
from dataselect_env.server.settings import Settings
from tests.helpers.postgres import running_postgres
from tests.helpers.serving import free_port

REPLICAS, CLIENTS = 2, 24
HTTP_EPISODES, STEPS = 10, 6
LOOPBACK = "127.0.0.1"
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def over_websocket(port: int, task_id: str, seed: int) -> tuple[float, int]:
    """Play an episode on a new connection; return the sum of the rewards and the number of steps."""
    action, total, steps, done = BEST_CONSTANTS[task_id].model_dump(exclude={"metadata"}), 0.0, 0, False
    with connect(f"ws://{LOOPBACK}:{port}/ws", proxy=None, open_timeout=120) as socket:
        reset = {"task_id": task_id, "seed": seed, "reward_mode": "grade"}
        socket.send(json.dumps({"type": "reset", "data": reset}))
        socket.recv()
        while not done:
            socket.send(json.dumps({"type": "step", "data": action}))
            data = json.loads(socket.recv())["data"]
            total, steps, done = total + data["reward"], steps + 1, data["done"]
    return total, steps


def post(port: int, path: str, body: dict[str, Any], session: str | None) -> dict[str, Any]:
    """Return the reply to a POST."""
    headers = {"content-type": "application/json"} | ({"x-session-id": session} if session else {})
    request = urllib.request.Request(f"http://{LOOPBACK}:{port}{path}", json.dumps(body).encode(), headers)
    with _open(request, timeout=120) as reply:
        result: dict[str, Any] = json.load(reply)
    return result


def lost_over_http(port: int, *, sticky: bool) -> int:
    """Return how many of ``HTTP_EPISODES * STEPS`` steps reached a replica without the episode."""
    lost = 0
    for number in range(HTTP_EPISODES):
        session = f"agent-{number}" if sticky else None
        episode = post(port, "/reset", {"task_id": "easy", "seed": number}, session)["episode_id"]
        for _ in range(STEPS):
            action = BEST_CONSTANTS["easy"].model_dump(exclude={"metadata"}) | {"episode_id": episode}
            try:
                post(port, "/step", action, session)
            except urllib.error.HTTPError as refusal:
                if json.load(refusal)["code"] != "EPISODE_NOT_FOUND":
                    raise
                lost += 1
    return lost


def main() -> None:
    with recorded("ray_serve", "ray-serve", ["ray", "fastapi", "websockets", "psycopg"]) as record:
        expected, port = scores(), free_port()
        episodes = [(task_id, seed) for seed in SEEDS for task_id in PINNED] * (CLIENTS // (len(SEEDS) * len(PINNED)))
        ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, configure_logging=False)
        try:
            serve.start(http_options={"host": LOOPBACK, "port": port})
            app = application(
                REPLICAS, Settings(store="memory:", max_sessions=CLIENTS), ray_actor_options={"num_cpus": 1}
            )
            serve.run(app)
            with ThreadPoolExecutor(CLIENTS) as threads:
                played = list(threads.map(lambda episode: over_websocket(port, *episode), episodes))
            worst = max(abs(total - expected[episode]) for episode, (total, _) in zip(episodes, played, strict=True))
            record.claim(
                worst < 1e-9,
                f"{CLIENTS} WebSocket clients at once on {REPLICAS} replicas get the package's own grades",
            )
            sticky, free = lost_over_http(port, sticky=True), lost_over_http(port, sticky=False)
            steps = HTTP_EPISODES * STEPS
            with running_postgres() as postgres:
                serve.run(application(REPLICAS, Settings(store=postgres.url), ray_actor_options={"num_cpus": 1}))
                shared = lost_over_http(port, sticky=False)
                serve.delete(serve.status().applications.popitem()[0])
            record.claim(
                sticky == 0, f"with x-session-id all {steps} HTTP steps reach the replica that has the episode"
            )
            record.claim(free > 0, "without it, and without a shared store, some do not")
            record.claim(shared == 0, "without it, over a PostgreSQL store, any replica goes on with any HTTP episode")
            record.figures = {
                "websocket_steps": sum(steps for _, steps in played),
                "lost_http_steps_with_header": sticky,
                "lost_http_steps_without_header": free,
                "lost_http_steps_over_postgresql": shared,
                "http_steps": steps,
            }
        finally:
            serve.shutdown()
            ray.shutdown()


if __name__ == "__main__":
    main()
