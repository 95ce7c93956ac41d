"""What ends a demonstration early, as sentences for people."""

__all__ = ["DemoError"]


class DemoError(Exception):
    """The demonstration cannot go on; the message says why, and where to look."""
