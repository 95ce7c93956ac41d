"""The page, its parts and its figures over HTTP. Nothing can be changed by it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["HEADERS", "PARTS", "status_routes"]

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Of every answer: nothing but the page's own parts is loaded, and no text becomes markup or code."""

PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "/": ("page.html", "text/html"),
    "/status.css": ("status.css", "text/css"),
    "/status.js": ("status.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/runbook": ("runbook.html", "text/html"),
}
"""Path to file and kind."""

_AGE_SECONDS: Final = 1.0


def status_routes(document: Callable[[], dict[str, Any]]) -> list[Route]:
    """Return the page at /, its parts, and /status.json with what `document` gives."""
    answers = _Answers(document)

    # Not a coroutine, so that it runs on a thread: what is slow to work out delays no probe.
    def status(_: Request) -> Response:
        return Response(answers.newest(), headers=HEADERS, media_type="application/json")

    return [*map(_part, PARTS), Route("/status.json", status)]


def _part(path: str) -> Route:
    name, kind = PARTS[path]
    content = files("stream_app.status_page").joinpath("assets", name).read_bytes()

    async def part(_: Request) -> Response:
        return Response(content, headers=HEADERS, media_type=kind)

    return Route(path, part)


class _Answers:
    """The document as bytes, made anew no more often than once a second, however many look."""

    def __init__(self, document: Callable[[], dict[str, Any]]) -> None:
        self._document = document
        self._lock = threading.Lock()
        self._made_at = -float("inf")
        self._made = b""

    def newest(self) -> bytes:
        with self._lock:
            if time.monotonic() - self._made_at >= _AGE_SECONDS:
                text = json.dumps(self._document(), separators=(",", ":"), allow_nan=False)
                self._made, self._made_at = text.encode(), time.monotonic()
            return self._made
