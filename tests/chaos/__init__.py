"""Faults against real workers, brokers and a real Redis, by a schedule that a seed decides."""
