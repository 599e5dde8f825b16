"""Tests of the task open: its tables, its label noise and its problems."""
