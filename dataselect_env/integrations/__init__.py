"""Adapters for trainers, evaluation frameworks and clients; each imports its library."""
