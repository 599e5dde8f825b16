"""Actions as clients send them."""

from typing import Any


def select(batch_size: int = 10, *, uncertainty: float = 0, diversity: float = 0, random: float = 0) -> dict[str, Any]:
    if not uncertainty and not diversity and not random:
        random = 1
    return {
        "action_type": "select_batch",
        "batch_size": batch_size,
        "strategy_weights": {"uncertainty": uncertainty, "diversity": diversity, "random": random},
    }


def stop() -> dict[str, Any]:
    return {**select(0), "action_type": "stop"}


SCRIPT = [
    select(5, random=1),
    select(20, uncertainty=0.2, diversity=0.5, random=0.3),
    select(0, diversity=1),
    select(12, uncertainty=1, random=1),
    stop(),
]
"""An episode that uses every strategy and ends by itself on every task."""
