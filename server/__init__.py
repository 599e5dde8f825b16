"""Door for OpenEnv tools: ``uvicorn server:app``."""

from .app import app, main

__all__ = ["app", "main"]
