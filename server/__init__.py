"""Entry point for ASGI servers: ``uvicorn server:app``."""

from .app import app, main

__all__ = ["app", "main"]
