r"""The policy ``general``: one network trained on all synthetic tasks of sources.yaml.

    python examples/train_ppo.py --task-file bench/transfer/sources.yaml --steps 300000 --out runs/transfer \
        --task two-clean --task two-uniform --task two-worlds --task two-boundary \
        --task four-clean --task four-uniform --task four-worlds --task four-boundary

wrote general.npz and general.json.
"""

from __future__ import annotations

from pathlib import Path

from dataselect_env.policies.learned import load_actor, start_actor
from dataselect_env.policies.policy import Policy

NETWORK = Path(__file__).with_suffix(".npz")

general = Policy(
    "general",
    "A network that was trained with PPO on eight synthetic tasks at once.",
    lambda task, _rng: start_actor(load_actor(NETWORK), task),
)
