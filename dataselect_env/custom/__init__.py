"""Tasks on a user's own data: task files, tables, noise models."""
