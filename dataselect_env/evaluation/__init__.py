"""Playing policies against each other: rollouts, the baseline, evaluations and their statistics."""
