"""The Model Context Protocol, over HTTP, WebSocket and standard input."""
