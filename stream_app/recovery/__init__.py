"""Finds out that the state is behind its log, and rebuilds it from the log."""
