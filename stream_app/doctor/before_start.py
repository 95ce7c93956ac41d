"""The look that a worker takes at its deployment before it starts, where the setting `doctor` asks for it."""

from __future__ import annotations

import logging
from typing import Final

from stream_app.config.settings import Settings
from stream_app.doctor.examine import examine
from stream_app.doctor.finding import Level
from stream_app.features.usecase import UseCase

__all__ = ["may_start"]

log = logging.getLogger(__name__)

_SEVERITIES: Final = {
    Level.OK: logging.INFO,
    Level.WARNING: logging.WARNING,
    Level.ERROR: logging.ERROR,
}


def may_start(settings: Settings, usecase: UseCase) -> bool:
    """Log every finding; return whether none of them is an error."""
    errors = 0
    for finding in examine(settings, usecase):
        errors += finding.level is Level.ERROR
        log.log(_SEVERITIES[finding.level], "%s: %s", finding.about, finding.text)
    if errors:
        log.error("the worker does not start: %d of these findings must be mended first", errors)
    return not errors
