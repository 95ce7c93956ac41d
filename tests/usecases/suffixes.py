"""Topics of a test's own, by a suffix of their names."""

__all__ = ["suffixed"]


def suffixed(name: str, suffix: str) -> str:
    """The name with the suffix, if there is one."""
    return f"{name}.{suffix}" if suffix else name
