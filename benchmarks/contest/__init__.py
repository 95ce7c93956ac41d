"""The contest: the worker beside whatever else a team might run, on the same Kafka and Redis, in turns."""
