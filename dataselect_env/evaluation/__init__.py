"""Comparing policies: rollouts, evaluations on many seeds, their statistics, and the baseline."""
