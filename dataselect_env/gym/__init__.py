"""Gymnasium environments, single and vector; importing this package registers their ids.

``gymnasium.make("dataselect_env.gym:DataSelect-Hard-v0")`` imports it automatically.
"""

from dataselect_env.gym.registration import register_tasks

register_tasks()
