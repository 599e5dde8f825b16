"""Virtual environments made by a plain ``pip install``, scripts that run in them, and a server for those."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
LOOPBACK = "127.0.0.1"
START_SECONDS = 120
INSTALL_SECONDS = 1_800
PROBE_SECONDS = 300


def interpreter(place: Path, requirements: Sequence[str]) -> str:
    """Return the interpreter of the virtual environment at ``place``, which is created if it is missing."""
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *requirements]
        subprocess.run(install, check=True, timeout=INSTALL_SECONDS, stdin=subprocess.DEVNULL)
    return str(python)


def probe(python: str, script: Path, url: str) -> dict[str, Any]:
    """Return the JSON in the last line of a script's output; it runs this checkout with the environment's libraries."""
    start = "import runpy, sys; root, *sys.argv = sys.argv[1:]; sys.path.insert(0, root); runpy.run_path(sys.argv[0],"
    done = subprocess.run(
        [python, "-I", "-c", f"{start} run_name='__main__')", str(ROOT), str(script), url],
        capture_output=True,
        text=True,
        check=False,
        timeout=PROBE_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        return {"checks": {"ran": False}, "failed": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def conclude(results: dict[str, dict[str, Any]], path: Path) -> None:
    """Write the results, and exit with status 1 if a check failed."""
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    failed = [name for name, result in results.items() if not all(result["checks"].values())]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


@contextmanager
def served() -> Iterator[str]:
    """Run a server of this checkout with an empty store, and yield its address.

    Raises:
        RuntimeError: The server did not start.
    """
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "DATASELECT_HOST": LOOPBACK, "PORT": str(port), "DATASELECT_STORE": "memory:"}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "server.py")],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://{LOOPBACK}:{port}"
        _await(process, url)
        yield url
    finally:
        process.terminate()
        process.wait()


def _await(process: subprocess.Popen[bytes], url: str) -> None:
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with ask(f"{url}/health", timeout=START_SECONDS):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError("the server did not start")
