"""Ray RLlib trains on two local nodes, one env runner on each: in process, and on a running server.

pip install ".[rllib]" && python -m bench.consumers.rllib_nodes
"""

from __future__ import annotations

import os

import ray

from bench.consumers.record import recorded
from examples.train_rllib import RUNNERS, env_config, make_algorithm
from tests.helpers.clustering import NODE_VARIABLE, add_node, local_nodes
from tests.helpers.serving import running_server

TASK, STEPS = "medium", 512


def train(url: str | None) -> tuple[set[str], int]:
    """Train for an iteration; return the nodes that the env runners are on, and the episodes that they finished."""
    algorithm = make_algorithm(env_config(TASK, url), seed=1, steps=STEPS)
    nodes = algorithm.env_runner_group.foreach_env_runner(lambda _: os.environ[NODE_VARIABLE], local_env_runner=False)
    episodes = algorithm.train()["env_runners"]["num_episodes"]
    algorithm.stop()
    return set(nodes), int(episodes)


def main() -> None:
    with recorded("rllib_nodes", "rllib", ["ray", "gymnasium", "torch"]) as record, local_nodes() as nodes:
        add_node(nodes, "second")
        ray.init(nodes.address, log_to_driver=False)
        with running_server() as server:
            places, in_process = train(None)
            there, on_server = train(server.base_url)
        ray.shutdown()
        record.claim(places == there == {"head", "second"}, f"{RUNNERS} env runners play on two nodes")
        record.claim(in_process > 0, "an iteration of training in process finishes episodes")
        record.claim(on_server > 0, "so does one on a server")
        record.figures = {"episodes_in_process": in_process, "episodes_on_server": on_server}


if __name__ == "__main__":
    main()
