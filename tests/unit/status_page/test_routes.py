"""The page over HTTP: its headers, its parts, and that nothing can be changed by it."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from importlib.resources import files

import pytest

from stream_app.status_page.routes import PARTS
from stream_app.status_page.sampling import Sampler
from tests.browser.scenarios import healthy, served
from tests.integration.worker import eventually

PATHS = [*PARTS, "/status.json"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a worker's page."""
    with served(healthy()) as address:
        yield address.rstrip("/")


def get(url: str, method: str = "GET") -> tuple[int, Message, str]:
    """Status, headers and body."""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, method=method), timeout=5
        ) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, ""


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_forbids_what_it_does_not_need(address: str, path: str) -> None:
    """No script or style but the page's own files, no frame, no form, no guess of the kind."""
    status, headers, body = get(f"{address}{path}")
    assert (status, bool(body)) == (200, True)
    policy = dict(each.split(" ", 1) for each in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed_by_it(address: str, path: str, method: str) -> None:
    """It is read-only."""
    assert get(f"{address}{path}", method)[0] == 405


def test_nothing_is_loaded_from_outside_and_nothing_is_inline() -> None:
    """No address of another host, no style or handler in the markup, no markup made of text."""
    assets = files("stream_app.status_page").joinpath("assets")
    for name, _ in PARTS.values():
        text = assets.joinpath(name).read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        linked = re.findall(r"(?:src|href)=\"(https?:[^\"]*)\"", text)
        assert name == "runbook.html" or not linked
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", text), name
    script = assets.joinpath("status.js").read_text("utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", script
    )


def test_status_json_is_for_scripts_too(address: str) -> None:
    """It says which worker it is and what is wrong with it, and which format it has."""
    _, headers, body = get(f"{address}/status.json")
    assert headers["Content-Type"] == "application/json"
    told = json.loads(body)
    assert (told["format"], told["kind"], told["name"]) == (1, "worker", "flights")


def test_however_many_look_it_is_worked_out_once_a_second_at_most() -> None:
    """A crowd before the page costs the work nothing more than one viewer."""
    asked = []
    from stream_app.status_page.routes import _Answers

    answers = _Answers(lambda: asked.append(1) or {"n": len(asked)})  # type: ignore[func-returns-value]
    assert {answers.newest() for _ in range(100)} == {b'{"n":1}'}


def test_a_sample_that_fails_is_logged_and_the_next_is_taken(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page stays, with what is known."""
    from stream_app.status_page import sampling

    monkeypatch.setattr(sampling, "STEP_SECONDS", 0.01)
    taken: list[int] = []

    def sample(step: int) -> None:
        taken.append(step)
        if len(taken) == 1:
            raise ValueError("no")

    sampler = Sampler(sample)
    sampler.start()
    eventually("it is tried again", lambda: len(taken) > 3, 10.0)
    sampler.stop()
    (line,) = caplog.records
    assert line.exc_info is not None
