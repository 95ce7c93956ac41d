"""Moments in sentences for people."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["in_utc"]


def in_utc(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339, or as a number where no calendar knows them."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{float(seconds):g} s since 1970"
