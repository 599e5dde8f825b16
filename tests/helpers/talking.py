"""A WebSocket server in this process, for tests of clients that need no more than answers to reset and step."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from websockets.sync.server import ServerConnection, serve

from dataselect_env import DataSelectEnv
from dataselect_env.core.errors import EnvError
from tests.helpers.serving import LOOPBACK, free_port


@contextmanager
def talking_server(*, ignored: Collection[str] = ()) -> Iterator[str]:
    """Yield the address of a server on which every connection has an environment.

    Args:
        ignored: Types of messages that are never answered.
    """

    def converse(connection: ServerConnection) -> None:
        env = DataSelectEnv()
        for text in connection:
            kind, data = (message := json.loads(text))["type"], message.get("data")
            if kind in ignored:
                continue
            try:
                reply = env.reset(**data) if kind == "reset" else env.step(data)
                answer = {"type": "observation", "data": reply.model_dump(mode="json")}
            except EnvError as error:
                answer = {"type": "error", "data": error.body()}
            connection.send(json.dumps(answer))

    port = free_port()
    with serve(converse, LOOPBACK, port) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://{LOOPBACK}:{port}"
        finally:
            server.shutdown()
            thread.join()
