"""The brokers: what is asked of them, what they answer, and what each of their errors means."""
