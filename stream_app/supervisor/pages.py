"""What a supervisor answers over HTTP: the metrics of all workers, and the health of each by its slot."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stream_app.status_page.routes import status_routes
from stream_app.supervisor.merged_metrics import merged
from stream_app.supervisor.merged_status import merged_status

__all__ = ["Place", "look", "supervisor_routes"]

_SECONDS: Final = 5.0
_PAGE_SECONDS: Final = 2.5
"""A worker that does not answer within this time is left out of a page. Whoever asks for it, a browser or a
probe, waits for 5 s: a worker that is frozen must not take the page of all with it."""
_LEAST_SECONDS: Final = 0.05
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_OURS: Final = """\
# HELP stream_app_supervisor_worker_up 1 where the worker of a slot answers.
# TYPE stream_app_supervisor_worker_up gauge
{up}# HELP stream_app_supervisor_starts_total Workers that were started in a slot.
# TYPE stream_app_supervisor_starts_total counter
{starts}"""


@dataclass(frozen=True)
class Place:
    """What is known of a slot."""

    number: int
    pid: int | None
    """Of its worker; None where none runs."""
    port: int | None
    starts: int


def look(port: int, path: str, seconds: float = _SECONDS) -> tuple[int, str]:
    """Status and body of a worker's page; (0, the reason) where it is not there whole within the time.

    A worker may freeze or end at any byte of its answer: half a page is none.
    """
    deadline = time.monotonic() + seconds
    # Straight to this machine, whatever proxy the environment names.
    line = HTTPConnection("127.0.0.1", port, timeout=seconds)
    with closing(line):
        try:
            line.connect()
            open_socket = line.sock
            line.request("GET", path)
            answer = line.getresponse()
            # A timeout is that of one call, of which an answer takes several.
            open_socket.settimeout(max(_LEAST_SECONDS, deadline - time.monotonic()))
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            return 0, str(error)


def supervisor_routes(
    places: Callable[[], Sequence[Place]], is_alive: Callable[[], bool]
) -> list[Route]:
    """Return /metrics, /livez, /readyz and the status page; they run on threads of the server."""

    def metrics(_: Request) -> Response:
        now = places()
        texts = {
            number: text
            for number, (status, text) in _all(now, "/metrics").items()
            if status == 200
        }
        ours = _OURS.format(
            up="".join(
                f'stream_app_supervisor_worker_up{{worker="{each.number}"}} {int(each.number in texts)}\n'
                for each in now
            ),
            starts="".join(
                f'stream_app_supervisor_starts_total{{worker="{each.number}"}} {each.starts}\n'
                for each in now
            ),
        )
        return Response(merged(texts) + ours, media_type=_TEXT)

    def livez(_: Request) -> Response:
        alive = is_alive()
        why = "The supervisor looks after its workers." if alive else "The supervisor hangs."
        return _answer(alive, why, {})

    def readyz(_: Request) -> Response:
        now = places()
        told = {
            each.number: _told(each, found)
            for each, found in zip(now, _all(now, "/readyz").values(), strict=True)
        }
        waiting = [
            f"worker {number}: {each['why']}" for number, each in told.items() if not each["ok"]
        ]
        why = " ".join(waiting) or f"All {len(told)} workers take records."
        return _answer(not waiting, why, {"workers": told})

    def status() -> dict[str, Any]:
        found = {
            number: _document(text) if code == 200 else None
            for number, (code, text) in _all(places(), "/status.json").items()
        }
        return merged_status(found, time.time())

    return [
        Route("/metrics", metrics),
        Route("/livez", livez),
        Route("/readyz", readyz),
        *status_routes(status),
    ]


def _all(places: Sequence[Place], path: str) -> Mapping[int, tuple[int, str]]:
    """A page of every worker, asked for at once."""

    def one(place: Place) -> tuple[int, str]:
        return (0, "") if place.port is None else look(place.port, path, _PAGE_SECONDS)

    with ThreadPoolExecutor(max(1, len(places))) as pool:
        return dict(zip([each.number for each in places], pool.map(one, places), strict=True))


def _told(place: Place, found: tuple[int, str]) -> dict[str, Any]:
    status, text = found
    if status:
        unknown = f"It answers with status {status}, and nothing else of use."
    elif place.pid is None:
        unknown = "It has ended and will be started again."
    elif place.port is None:
        unknown = "It is starting."
    else:
        unknown = "It does not answer."
    said = (_document(text) if status else None) or {"ok": False, "why": unknown}
    return {**said, "pid": place.pid, "starts": place.starts}


def _document(text: str) -> dict[str, Any] | None:
    """What a worker said as JSON; None where it is something else, as of a mistake in making it."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _answer(ok: bool, why: str, details: dict[str, Any]) -> Response:
    body = json.dumps({"ok": ok, "why": why, **details}) + "\n"
    return PlainTextResponse(body, 200 if ok else 503, media_type="application/json")
