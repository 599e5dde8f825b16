"""The rules of the environment: an episode is a pure function of task, seed and actions.

The core imports no transport, no store and no framework.
"""
