"""What a scripted model writes, in text."""

from __future__ import annotations

import json

from dataselect_env.policies.reference import BEST_CONSTANTS


def answer(task_id: str) -> str:
    """Return the answer of a model that plays the best constant action of its task, as models word such things."""
    action = BEST_CONSTANTS[task_id].model_dump(exclude={"metadata"})
    return f"I buy clean samples first.\n```json\n{json.dumps(action)}\n```"
