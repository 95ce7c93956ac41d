"""The demonstration: a week of flights in a minute, through a real Kafka and a real worker.

``python -m demo`` starts the services, produces the events, watches the topics as any consumer
could, and accounts at the end for every record. Nothing here shares memory with the worker: what
is counted is counted from the topics.
"""
