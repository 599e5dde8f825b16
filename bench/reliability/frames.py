"""Hostile frames of a broken or malicious client, drawn from a seeded generator.

A frame is the content of one WebSocket message or of one body of ``POST /mcp``: text or bytes. All frames should be
refused; valid messages (reset, step, state, close) are not generated.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

Frame = str | bytes

TYPES = ("reset", "step", "state", "mcp")
UNTYPED: tuple[Any, ...] = (None, True, 0, -1, 1.5, "", "x", [], {}, [[]], {"": {}}, "reset", 10**30)
NUMBERS = (
    "1e400",
    "-1e400",
    "9" * 4_300,
    "9" * 5_000,
    "-" + "9" * 400,
    "1e-300",
    "0x10",
    "01",
    "+1",
    ".5",
    "1.",
    "1e",
    "-",
)
WORDS = ("NaN", "Infinity", "-Infinity", "nul", "True", "None", "undefined", "'single'", "// comment", "{,}", "[1,]")
LETTERS = "\x00\x07\x1b\x7f\u0085\u00ad\u200b\u202e\u2028\ufeff\uffff\U000e0001\U0010ffff\u0301a"
HALVES = ("\\ud800", "\\udfff", "\\ud800\\ud800", "\\udc00\\ud800", "\\uD83D", "\\u12", "\\x41", "\\")


def junk(rng: random.Random) -> Frame:
    """Return text that is not JSON."""
    return "".join(rng.choice('{}[]",:\\ \n\tabc0' + LETTERS) for _ in range(rng.randrange(1, 200))) + "}"


def binary(rng: random.Random) -> Frame:
    """Return bytes, some of which would be a valid message as text."""
    if rng.random() < 0.3:
        return json.dumps({"type": rng.choice(TYPES)}).encode()
    return rng.randbytes(rng.randrange(0, 300))


def nested(rng: random.Random) -> Frame:
    """Return nested brackets, closed or not, sometimes inside a message."""
    depth = rng.choice((50, 500, 5_000, 25_000))
    opened, closed = rng.choice((("[", "]"), ('{"a":', "}"), ('{"data":', "}"), ("[{},", "]")))
    text = opened * depth + "1" + closed * (depth if rng.random() < 0.7 else rng.randrange(depth))
    return text if rng.random() < 0.5 else f'{{"type": "step", "data": {text}}}'


def number(rng: random.Random) -> Frame:
    """Return a message with a number that is out of range, or not a number."""
    return _with_value(rng, rng.choice(NUMBERS))


def word(rng: random.Random) -> Frame:
    """Return a message with a literal of another language as a value."""
    return _with_value(rng, rng.choice(WORDS))


def half(rng: random.Random) -> Frame:
    """Return a message with invalid escapes or lone surrogates, as a value or as a name."""
    text = f'"{rng.choice(HALVES)}"'
    return _with_value(rng, text) if rng.random() < 0.7 else f'{{"type": "step", "data": {{{text}: 1}}}}'


def letters(rng: random.Random) -> Frame:
    """Return a message whose names and texts are control characters, direction marks and the like."""
    text = "".join(rng.choice(LETTERS) for _ in range(rng.randrange(1, 40)))
    return json.dumps({"type": rng.choice(("reset", "step")), "data": {text: text}}, ensure_ascii=rng.random() < 0.5)


def giant(rng: random.Random) -> Frame:
    """Return a message with a long text, a long list or many names, within the server's size limit."""
    size = rng.choice((300, 3_000, 30_000, 200_000))
    data: Any = rng.choice(
        ({"task_id": "x" * size}, {"episode_id": "e" * size}, {"y" * size: 1}, {"seed": [1] * (size // 4)})
    )
    if rng.random() < 0.3:
        data = {f"n{place}": 1 for place in range(min(size, 9_000))}
    return json.dumps({"type": rng.choice(("reset", "step")), "data": data})


def mistyped(rng: random.Random) -> Frame:
    """Return a message with a value of a wrong type."""
    wrong = rng.choice(UNTYPED)
    place = rng.randrange(4)
    if place == 0:
        return json.dumps(wrong)
    if place == 1:
        return json.dumps({"type": wrong if wrong != "reset" else ["reset"], "data": {}})
    if place == 2:
        return json.dumps({"type": rng.choice(("reset", "step", "state")), "data": wrong or [wrong]})
    return json.dumps({"type": "step", "data": _bad_action(rng)})


def duplicate(rng: random.Random) -> Frame:
    """Return a message with duplicate names; the last one counts, and its value is invalid."""
    return rng.choice(
        (
            '{"type": "reset", "type": "buy"}',
            '{"type": "state", "data": {}, "data": []}',
            '{"type": "reset", "data": {"seed": 1, "seed": -1}}',
            '{"type": "step", "data": {"action_type": "stop", "action_type": 1, "batch_size": 0, "batch_size": "0"}}',
        )
    )


def misplaced(rng: random.Random) -> Frame:
    """Return a message that is valid JSON but refused: unknown names, other episodes, contradictions."""
    return json.dumps(
        rng.choice(
            (
                {"type": "reset", "data": {"task_id": "impossible"}},
                {"type": "reset", "data": {"index": 1}},
                {"type": "reset", "data": {"split": "test", "index": 10**9}},
                {"type": "reset", "data": {"split": "test", "seed": 1}},
                {"type": "reset", "data": {"reward_mode": "free"}},
                {"type": "step", "data": {**_action(rng), "episode_id": "somebody-else"}},
                {"type": "step", "data": {"action": _action(rng), "action_type": "stop"}},
                {"type": "state", "data": {"episode_id": "somebody-else"}},
                {"type": "reset", "data": {}, "token": "x"},
                {"type": rng.choice(("RESET", "Step", " state", "close\x00", "grader", "__init__"))},
            )
        )
    )


KINDS: tuple[Callable[[random.Random], Frame], ...] = (
    junk, binary, nested, number, word, half, letters, giant, mistyped, duplicate, misplaced,
)  # fmt: skip


def hostile(rng: random.Random) -> Frame:
    """Return a frame that should be refused."""
    return rng.choice(KINDS)(rng)


def rpc(rng: random.Random) -> Frame:
    """Return an invalid JSON-RPC request: invalid JSON, or JSON that is not a request."""
    if rng.random() < 0.4:
        return rng.choice(KINDS)(rng)
    request: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    name = rng.choice(tuple(request))
    request[name] = rng.choice(UNTYPED)
    if rng.random() < 0.3:
        request.pop(rng.choice(tuple(request)))
    return json.dumps(request if rng.random() < 0.8 else [request] * rng.randrange(3))


def _with_value(rng: random.Random, text: str) -> str:
    """Return a message with valid or invalid JSON text as one of its values."""
    return rng.choice(
        (
            f'{{"type": "reset", "data": {{"seed": {text}}}}}',
            f'{{"type": "step", "data": {{"batch_size": {text}}}}}',
            f'{{"type": {text}}}',
            f'{{"type": "reset", "data": {{"episode_id": {text}, "x": 1}}}}',
            text + " x",
        )
    )


def _action(rng: random.Random) -> dict[str, Any]:
    return {"action_type": "select_batch", "batch_size": rng.randrange(30), "strategy_weights": {"random": 1}}


def _bad_action(rng: random.Random) -> dict[str, Any]:
    """Return an action with one invalid field."""
    wrong: Any = rng.choice((None, True, -1, 0.5, "1", [], "stop"))
    return rng.choice(
        (
            {**_action(rng), "batch_size": wrong},
            {**_action(rng), "action_type": wrong if wrong != "stop" else "buy"},
            {**_action(rng), "strategy_weights": wrong},
            {**_action(rng), "strategy_weights": {"random": rng.choice((None, True, -1, "1", [], 0))}},
            {**_action(rng), "strategy_weights": {"entropy": 1}},
            {**_action(rng), "reward": 1},
        )
    )
