"""SkyRL's gym plays the environment like its generator: created from the registry for each row, stepped with text.

pip install ".[skyrl]" && python -m bench.consumers.skyrl
"""

from __future__ import annotations

import skyrl_gym
from skyrl_gym.metrics import aggregate_for_environment

from bench.consumers.answers import answer
from bench.consumers.record import SEEDS, recorded, scores
from dataselect_env.core.tasks import PINNED
from dataselect_env.integrations import skyrl_env
from dataselect_env.integrations.rows import prompt_rows

MAX_TURNS = 20


def main() -> None:
    with recorded("skyrl", "skyrl", ["skyrl-gym"]) as record:
        skyrl_env.register()
        expected, returns, metrics, mistakes = scores(), {}, [], 0
        for row in prompt_rows(PINNED, SEEDS):
            env = skyrl_gym.make(skyrl_env.ENV_CLASS, env_config={}, extras={**row, "max_turns": MAX_TURNS})
            conversation, _ = env.init(row["prompt"])
            total, done, texts = 0.0, False, ["I have to think.", *[answer(row["task_id"])] * MAX_TURNS]
            while not done:
                output = env.step(texts.pop(0))
                total, done = total + output["reward"], output["done"]
                conversation += output["observations"]
            returns[row["task_id"], row["seed"]] = total
            metrics.append(env.get_metrics())
            mistakes += metrics[-1]["mistakes"]
            env.close()
        worst = max(abs(returns[episode] - expected[episode]) for episode in expected)
        record.claim(worst < 1e-9, f"returns of {len(returns)} trajectories equal the package's own grades")
        record.claim(mistakes == len(returns), "an answer without an action costs a turn and nothing else")
        means = aggregate_for_environment(skyrl_env.ENV_CLASS, metrics)
        record.claim(set(means) == {"episode_return", "passed", "steps", "mistakes"}, "metrics aggregate over episodes")
        record.figures = {"mean_metrics": means, "largest_difference": worst}


if __name__ == "__main__":
    main()
