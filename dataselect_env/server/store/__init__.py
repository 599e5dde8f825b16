"""Where the server keeps episodes."""
