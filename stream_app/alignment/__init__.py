"""The order of records across partitions, and when each of them became known."""
