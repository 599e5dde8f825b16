"""Adapters for trainers and evaluation frameworks: each imports its own library, and nobody imports them."""
