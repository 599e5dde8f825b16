"""Custom tasks: task files, tables, generators and noise models."""
