"""Who and what this environment is; openenv.yaml says the same, held by a test."""

NAME = "DataSelectEnv"
AUTHOR = "InfraNova"
DESCRIPTION = (
    "A reinforcement-learning environment for data curation under a budget: an agent decides how many samples to buy"
    " from a noisy pool and how to mix uncertainty, diversity and random selection, while a classifier is trained"
    " incrementally on what was bought."
)
