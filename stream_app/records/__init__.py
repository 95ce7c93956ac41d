"""What travels through the worker: partitions, records, items, batches, and how they are named."""
