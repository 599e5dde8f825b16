"""The server: transports, sessions, security, limits, logs and settings."""
