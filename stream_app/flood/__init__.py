"""The flood breaker: a topic-partition whose records are refused one after the other is not taken further."""
