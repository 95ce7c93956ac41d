"""Where the time of a worker at full load goes."""
