"""State that is behind its log: found out, and rebuilt from the log."""
