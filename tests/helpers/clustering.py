"""Ray clusters of local nodes, for tests; each node is a raylet with workers of its own on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

NODE_VARIABLE = "DATASELECT_TEST_NODE"
"""Variable in the workers of a node with the node's name."""
SMALL: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


def add_node(nodes: Any, name: str, **variables: str) -> Any:
    """Add a node with one CPU; its workers see these variables."""
    with patch.dict(os.environ, {NODE_VARIABLE: name, **variables}):
        return nodes.add_node(**SMALL)


@contextmanager
def local_nodes() -> Iterator[Any]:
    """Yield a cluster with a head node of one CPU; ``address`` is where it is."""
    from ray.cluster_utils import Cluster

    with patch.dict(os.environ, {"RAY_USAGE_STATS_ENABLED": "0", NODE_VARIABLE: "head"}):
        nodes = Cluster(initialize_head=True, head_node_args={**SMALL, "include_dashboard": False})
    try:
        yield nodes
    finally:
        nodes.shutdown()
