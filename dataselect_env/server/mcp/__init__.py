"""The Model Context Protocol (MCP) over HTTP, WebSocket and stdio."""
