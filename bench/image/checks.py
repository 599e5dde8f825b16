"""What must hold for an image and for a container of it; each check returns what it found, or fails."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import yaml
from websockets.asyncio.client import connect

from bench.image import inside
from bench.image.podman import Json, Podman
from bench.reliability.scripts import draw
from dataselect_env.core.tasks import TASKS
from tests.helpers.serving import LOOPBACK, ROOT, clean_environ, free_port

USER = "65532"
MOST_BYTES = 250_000_000
"""Bytes that the image may add to its base."""
START, STOP, PATIENCE = 60.0, 30, 120
CHANGED = Path("dataselect_env/__init__.py")


def resources() -> Json:
    """Return the resources that openenv.yaml declares."""
    manifest = yaml.safe_load((ROOT / "openenv.yaml").read_text(encoding="utf-8"))
    declared: Json = manifest["validation"]["resources"]
    return declared


def size(layers: list[Json]) -> Json:
    """Return the layers with their sizes; what they add to the base must be small."""
    added = sum(layer["bytes"] for layer in layers[1:])
    assert added <= MOST_BYTES, f"the image adds {added:,} bytes to its base"
    return {"base_bytes": layers[0]["bytes"], "added_bytes": added, "layers": layers}


def same(podman: Podman, first: str, second: str) -> Json:
    """Compare two builds without cache: the same layers and configuration, bit for bit."""
    one, other = (podman.inspect(tag) for tag in (first, second))
    assert one["RootFS"] == other["RootFS"], "two builds differ in their layers"
    assert one["Config"] == other["Config"], "two builds differ in their configuration"
    return {"layers": len(one["RootFS"]["Layers"]), "same_id": one["Id"] == other["Id"]}


def change(podman: Podman, context: Path, *, base: str, before: list[Json]) -> Json:
    """Change a line of code and build again: only the layers of the package may be new."""
    changed = context / CHANGED
    changed.write_text(changed.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    podman.build(context, "changed", base=base, cached=True)
    after = podman.layers("changed")
    assert len(after) == len(before)
    new = [layer for layer, old in zip(after, before, strict=True) if layer["digest"] != old["digest"]]
    dependencies = max(before[1:], key=lambda layer: int(layer["bytes"]))
    assert new, "the change is not in the image"
    assert dependencies["digest"] in {layer["digest"] for layer in after}, "the layer of dependencies is new"
    return {"new_layers": len(new), "new_bytes": sum(layer["bytes"] for layer in new)}


def within(podman: Podman, tag: str) -> Json:
    """Run :mod:`bench.image.inside` in a container without a network, beside the server."""
    declared = resources()
    limits = ("--memory", f"{declared['memory_mb']}m", "--cpus", str(declared["cpu"]))
    with podman.running(tag, "--network", "none", "--no-healthcheck", *limits) as name:
        until_healthy(podman, name)
        source = Path(inside.__file__).read_text(encoding="utf-8")
        found: Json = json.loads(podman("exec", name, "python", "-c", source))
        podman("exec", "--env", "PIP_NO_CACHE_DIR=1", name, "pip", "check")
        stop(podman, name)
    status = found["status"]
    assert status["Uid"].split() == status["Gid"].split() == [USER] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert found["writable"] == ["/tmp"], found["writable"]  # noqa: S108
    assert not found["other hosts"], "a container without a network reaches other hosts"
    assert found["build tools"] == [], "tools of the build are in the image"
    assert not {"setuptools", "Cython"} & found["packages"].keys(), "the build backend is in the image"
    assert found["uncompiled"] == [], "modules without bytecode"
    assert found["scores"].keys() == TASKS.keys()
    return {**found, "limits": {name: declared[name] for name in ("memory_mb", "cpu")}}


def until_healthy(podman: Podman, name: str) -> None:
    """Wait until the Dockerfile's own health check succeeds."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    check = json.loads(dockerfile.partition("HEALTHCHECK ")[2].partition("CMD ")[2].splitlines()[0])
    deadline = time.monotonic() + START
    while True:
        try:
            podman("exec", name, *check)
            return
        except AssertionError:
            assert time.monotonic() < deadline, podman("logs", name)
            time.sleep(0.2)


def stop(podman: Podman, name: str) -> int:
    """Stop the container with SIGTERM; it must end by itself, with status 0."""
    podman("stop", "--time", str(STOP), name)
    code = int(podman.inspect(name)["State"]["ExitCode"])
    assert code == 0, f"the container ended with status {code}"
    return code


def serve(podman: Podman, tag: str) -> Json:
    """Play over HTTP and WebSocket through a published port, grade, run OpenEnv's validator, and stop."""
    port = free_port()
    with podman.running(tag, "--publish", f"{LOOPBACK}:{port}:8000") as name:
        until_healthy(podman, name)
        podman("healthcheck", "run", name)
        answers = asyncio.run(play(f"http://{LOOPBACK}:{port}"))
        validated = validate(f"http://{LOOPBACK}:{port}")
        code = stop(podman, name)
    return {"episodes": answers, "openenv_validate": validated, "exit_code": code}


async def play(base_url: str) -> Json:
    """Play an episode of every task over HTTP and again over WebSocket: the same replies and grades."""
    grades = {}
    async with (
        httpx2.AsyncClient(base_url=base_url, trust_env=False, verify=False, timeout=PATIENCE) as http,
        connect(f"{base_url.replace('http', 'ws', 1)}/ws", proxy=None, open_timeout=PATIENCE) as socket,
    ):

        async def post(kind: str, data: Json) -> Json:
            answer = await http.post(f"/{kind}", json=data)
            assert answer.status_code == httpx2.codes.OK, answer.text
            reply: Json = answer.json()
            return reply

        async def send(kind: str, data: Json) -> Json:
            await socket.send(json.dumps({"type": kind, "data": data}))
            answer = json.loads(await socket.recv())
            assert answer["type"] == "observation", answer
            reply: Json = answer["data"]
            return reply

        for task_id in TASKS:
            script = draw(random.Random(7), "", seed=7, task_id=task_id)  # noqa: S311  (the same episode each time)
            played = {}
            for transport, ask, addressed in (("http", post, True), ("ws", send, False)):
                choices = {**script.choices, "episode_id": f"{transport}-{task_id}"}
                episode = {"episode_id": choices["episode_id"]}
                replies = [await ask("reset", choices)]
                for action in script.actions:
                    replies.append(await ask("step", {**action, **(episode if addressed else {})}))
                    if replies[-1]["done"]:
                        break
                grade = await post("grader", episode)
                played[transport] = ([without_id(reply) for reply in replies], without_id(grade))
            assert played["http"] == played["ws"], f"{task_id}: HTTP and WebSocket differ"
            grades[task_id] = {"steps": len(played["http"][0]) - 1, "score": played["http"][1]["score"]}
    return grades


def without_id(reply: Any) -> Any:
    """Return a reply without the ids that name its episode."""
    if isinstance(reply, dict):
        return {name: without_id(value) for name, value in reply.items() if name != "episode_id"}
    return reply


def validate(base_url: str) -> Json:
    """Run ``openenv validate --url``; every criterion must pass."""
    done = subprocess.run(
        [sys.executable, "-m", "openenv.cli", "validate", "--url", base_url, "--json", "--timeout", str(PATIENCE)],
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    criteria = json.loads(done.stdout)["criteria"]
    passed = sum(criterion["passed"] for criterion in criteria)
    assert passed == len(criteria) > 0, criteria
    return {"passed": passed, "criteria": len(criteria)}
