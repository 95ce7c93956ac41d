"""How rate, cost and memory of a worker change with one variable at a time."""
