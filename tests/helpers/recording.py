"""Records of episodes, receipts for them, and servers in this process that hand both out."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataselect_env.core.receipts import Receipt
from dataselect_env.core.tasks import DYNAMICS_VERSION
from dataselect_env.evaluation.evaluate import Plan, evaluate
from dataselect_env.evaluation.record_file import write_records
from dataselect_env.evaluation.records import EpisodeRecord, Header, Host
from tests.helpers.serving import LOOPBACK

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY_ID = "first"


def public_key(key: Ed25519PrivateKey = KEY) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def keys_answer(key: Ed25519PrivateKey = KEY, key_id: str = KEY_ID) -> dict[str, Any]:
    """Return the answer to GET /keys."""
    one = {"key_id": key_id, "algorithm": "Ed25519", "public_key": public_key(key), "current": True}
    return {"keys": [one]}


def receipt_for(header: Header, one: EpisodeRecord, *, sign: bool = True, **changes: Any) -> Receipt:
    """Return the receipt that a server would give for an episode, with changes before it is signed."""
    fields: dict[str, Any] = {
        "key_id": KEY_ID,
        "episode_id": one.episode_id,
        "agent": None if header.host is None else header.host.agent,
        "task_id": one.task_id,
        "task_digest": None,
        "split": one.split,
        "seed": one.seed,
        "index": one.index,
        "reward_mode": header.reward_mode,
        "dynamics_version": DYNAMICS_VERSION,
        "started_at": "2026-01-01T00:00:00Z",
        "actions": [json.loads(action.as_action().model_dump_json()) for action in one.actions or ()],
        "score": one.score,
        "passed": one.passed,
        **changes,
    }
    receipt = Receipt(**fields)
    return receipt.signed(KEY) if sign else receipt


def played(*policies: str, seeds: tuple[int, ...] = (20_000, 20_001, 20_002)) -> tuple[Header, list[EpisodeRecord]]:
    """Return the header and the records of policies on the task hard."""
    plan = Plan(policies=policies, tasks=("hard",), seeds=seeds)
    return plan.header, evaluate(plan)


def served(*policies: str, sealed: bool = True) -> tuple[Header, list[EpisodeRecord]]:
    """Return records with receipts, as of a server: on the sealed split, indices stand in place of the seeds."""
    header, found = played(*policies)
    header = header.model_copy(update={"host": Host(url="http://host", agent="me", sealed=sealed)})
    records = []
    for number, one in enumerate(found):
        changes: dict[str, Any] = {"episode_id": f"episode-{number}"}
        if sealed:
            changes |= {"split": "sealed", "seed": None, "index": number}
        changed = one.model_copy(update=changes)
        records.append(changed.model_copy(update={"receipt": receipt_for(header, changed)}))
    return header, records


def write(folder: Path, header: Header, records: list[EpisodeRecord], name: str = "runs.jsonl") -> Path:
    write_records(folder / name, header, records)
    return folder / name


@contextmanager
def http_server(answers: Mapping[str, list[tuple[int, bytes]]]) -> Iterator[tuple[str, list[tuple[str, bytes, str]]]]:
    """Yield the address of an HTTP server, and the requests that it received: path, body and Authorization.

    Args:
        answers: Statuses and bodies by path, in order; the last one is repeated.
    """
    requests: list[tuple[str, bytes, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            requests.append((self.path, body, self.headers.get("Authorization") or ""))
            listed = answers[self.path]
            status, answer = listed.pop(0) if len(listed) > 1 else listed[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_address[1]}", requests
        finally:
            server.shutdown()
            thread.join()
