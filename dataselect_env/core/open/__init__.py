"""The task ``open``: every seed is another curation problem, drawn from a published distribution."""
