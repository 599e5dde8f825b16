"""Formats of the files that tables are read from."""
