"""Gymnasium environments, single and vector."""
