"""verifiers' command plays its openenv taskset on our server, with a fake model behind an OpenAI endpoint.

pip install "dataselect-env[verifiers]" uv && python -m bench.consumers.verifiers
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from bench.consumers.record import SEEDS, recorded, scores
from dataselect_env.integrations import verifiers_config
from dataselect_env.policies.reference import BEST_CONSTANTS
from tests.helpers.serving import LOOPBACK, running_server

TASK = "hard"


class FakeModel(BaseHTTPRequestHandler):
    """Answers every chat completion with the best constant action, streamed on request."""

    asked: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        """Answer one request."""
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append(request)
        text = json.dumps(BEST_CONSTANTS[TASK].model_dump(exclude={"metadata"}))
        stream = bool(request.get("stream"))
        message = {"role": "assistant", "content": text}
        completion = {
            "id": "1",
            "object": "chat.completion.chunk" if stream else "chat.completion",
            "created": 1,
            "model": request["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "delta" if stream else "message": message}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        body = f"data: {json.dumps(completion)}\n\ndata: [DONE]\n\n" if stream else json.dumps(completion)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if stream else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def fake_model() -> Iterator[str]:
    """Run a fake model, and yield its base URL."""
    server = ThreadingHTTPServer((LOOPBACK, 0), FakeModel)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def evaluate(folder: Path, config: Path, model_url: str) -> list[dict[str, Any]]:
    """Run verifiers' command and return its traces."""
    binaries = Path(sys.executable).parent
    options = ["--client.base-url", model_url, "--client.api-key-var", "FAKE_KEY", "--model", "fake"]
    command = [str(binaries / "vf-eval"), "@", str(config), *options, "--no-push", "--no-rich", "--run.name", "run"]
    environ = {**os.environ, "FAKE_KEY": "none", "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout[-3000:] + done.stderr[-3000:])
    lines = (folder / "outputs" / "run" / "traces.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def main() -> None:
    packages = ["verifiers", "openenv", "mcp", "openai"]
    with (
        recorded("verifiers", "verifiers", packages) as record,
        tempfile.TemporaryDirectory() as scratch,
        running_server() as server,
        fake_model() as model_url,
    ):
        folder = Path(scratch)
        prompt, path = folder / verifiers_config.PROMPT, folder / verifiers_config.CONFIG
        prompt.write_text(verifiers_config.system_prompt(TASK), encoding="utf-8")
        path.write_text(verifiers_config.config(TASK, SEEDS, base_url=server.base_url, prompt=str(prompt)))
        episodes = evaluate(folder, path, model_url)
        record.claim(
            all(episode["ok"] for episode in episodes), f"vf-eval plays {len(SEEDS)} episodes without an error"
        )
        expected = {seed: score for (task_id, seed), score in scores().items() if task_id == TASK}
        found = {
            trace["task"]["data"]["reset"]["seed"]: trace["rewards"]["openenv_reward"]["score"]
            for episode in episodes
            for trace in episode["traces"]
        }
        worst = max(abs(found[seed] - expected[seed]) for seed in expected)
        record.claim(worst < 1e-9, "the rewards that verifiers records equal the package's own grades")
        first = FakeModel.asked[0]["messages"]
        record.claim(
            first[0] == {"role": "system", "content": verifiers_config.system_prompt(TASK)}
            and set(json.loads(first[1]["content"])) == {"observation", "action_schema"},
            "the model is shown our system prompt, then the observation and the schema of an action",
        )
        record.figures = {"largest_difference": worst, "requests_to_the_model": len(FakeModel.asked)}


if __name__ == "__main__":
    main()
