"""The status page as people meet it: in a browser, at two sizes, in good days and bad ones."""

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.scenarios import (
    HOSTILE,
    SCENARIOS,
    fleet,
    healthy,
    in_trouble,
    lagging,
    rebuilding,
    served,
    several,
)
from tests.chromium import SIZES, Look
from tests.integration.worker import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Page

FIRST = {
    "healthy": ("ok", "All is well"),
    "lagging": (
        "trouble",
        "The worker is more than a minute behind, and more records wait than a minute ago",
    ),
    "rebuilding": (
        "notice",
        "State is rebuilt from the log; meanwhile a fallback serves, or records wait",
    ),
    "stopped": (
        "trouble",
        "Too many records were refused, so nothing is taken of flights.boarding[3]",
    ),
    "in_trouble": ("trouble", f"The worker waits for redis: Connection refused by {HOSTILE[1]}"),
    "several": ("trouble", "Worker 4 does not answer"),
    "fleet": ("trouble", "Group billing does not get on, though a member holds it: topic-1[0]"),
}

CONTRAST = """() => {
  const rgba = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * x + .7152 * y + .0722 * z;
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = rgba(getComputedStyle(node).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.body.querySelectorAll('*')) {
    const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
    if (!own || !node.getClientRects().length || node.closest('.skip')) continue;
    const style = getComputedStyle(node);
    const [one, two] = [light(rgba(node.closest('svg') ? style.fill : style.color)), light(behind(node))];
    const ratio = (Math.max(one, two) + .05) / (Math.min(one, two) + .05);
    if (ratio < 4.5) poor.push(`${node.tagName}.${node.className.baseVal ?? node.className} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


def text(page: "Page", selector: str) -> str:
    """What a reader sees there."""
    return page.inner_text(selector)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_first_line_answers_and_nothing_is_wider_than_the_screen(
    look: Look, name: str, size: str
) -> None:
    """Is it well, and if not, what is wrong, since when, and what to do."""
    with served(SCENARIOS[name]()) as address:
        page = look(address, size)
        level, sentence = FIRST[name]
        assert page.get_attribute("#verdict", "class") == level
        assert text(page, "#sentence") == sentence
        assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
        assert page.locator("figure svg.plot path").count() > 6
        if level != "ok" and name != "several":  # since when it does not answer is not known
            assert re.match(r"since \d\d:\d\d:\d\d \(\d+ s\)", text(page, "#facts"))
        if level != "ok":
            assert "`" not in text(page, "#advice")  # commands are set apart
            page.click("#advice a")
            page.wait_for_selector("h2:target")


@pytest.mark.parametrize("size", SIZES)
def test_hostile_text_is_shown_as_it_is_and_does_nothing(look: Look, size: str) -> None:
    """In messages, reasons, names of topics and errors of services."""
    with served(in_trouble()) as address:
        page = look(address, size)
        page.click("summary:has-text('1 more')")
        shown = text(page, "#rest")
        for message in HOSTILE[:5]:
            assert message in shown
        assert f"topic-{HOSTILE[0]}" in shown
        assert (
            page.locator(
                "main script, main img, main iframe, main [onerror], main [onload]"
            ).count()
            == 0
        )
        assert page.title() == "✕ flights, stream-app"
    with served(fleet()) as address:
        page = look(address, size)
        assert HOSTILE[1] in text(page, "#name")
        assert page.locator("main img, header img").count() == 0


@pytest.mark.parametrize("size", SIZES)
def test_who_holds_a_partition_is_seen(look: Look, size: str) -> None:
    """By the worker's own name, without the group's before it, whatever the size of the screen."""
    with served(fleet()) as address:
        holder = look(address, size).locator("#partitions td.member").first
        assert holder.inner_text() == "worker-0 10.0.0.7"
        box = holder.bounding_box()
        assert box is not None
        assert box["x"] < SIZES[size][0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_text_has_enough_contrast(look: Look, name: str, scheme: str) -> None:
    """4.5 to 1 at least, by day and in the dark."""
    with served(SCENARIOS[name]()) as address:
        page = look(address, color_scheme=scheme)
        assert page.evaluate(CONTRAST) == []
        page.goto(f"{address}runbook")
        assert page.evaluate(CONTRAST) == []


def test_it_goes_on_by_itself_and_tells_a_screen_reader_once(look: Look) -> None:
    """The first line changes when what is wrong changes, and not with each figure."""
    scene = healthy()
    with served(scene) as address:
        page = look(address)
        page.evaluate(
            """() => { window.told = [];
            new MutationObserver(() => told.push(document.getElementById('sentence').textContent))
              .observe(document.getElementById('sentence'), {childList: true, characterData: true, subtree: true}); }"""
        )
        then = text(page, "#fresh")
        eventually("newer figures are there", lambda: text(page, "#fresh") != then, 15.0)
        scene.health.waiting_for("redis", "Connection refused")
        scene.pass_by(1, lambda _: None)
        page.wait_for_selector("#verdict.trouble")
        eventually("time passes", lambda: "(2 s)" in text(page, "#facts"), 15.0)
        scene.health.arrived("redis")
        scene.pass_by(1, lambda _: None)
        page.wait_for_selector("#verdict.ok")
        assert page.evaluate("told") == [
            "The worker waits for redis: Connection refused",
            "All is well",
        ]
        assert page.get_attribute("#sentence", "aria-live") == "polite"
        assert "redis is back after" in text(page, "#rest")


def test_a_worker_that_does_not_answer_is_told_and_found_again(look: Look) -> None:
    """What is below is old, and said to be."""
    with served(lagging()) as address:
        page = look(address)
        page.route("**/status.json", lambda route: route.abort())
        page.wait_for_selector("body.stale")
        assert text(page, "#sentence") == "The worker does not answer"
        assert "since" in text(page, "#facts")
        page.unroute("**/status.json")
        page.wait_for_selector("body:not(.stale)")
        assert text(page, "#sentence") == FIRST["lagging"][1]


def test_the_keyboard_reaches_everything_and_shows_where_it_is(look: Look) -> None:
    """Links, plots' figures and tables that scroll; the first stop skips to the partitions."""
    with served(rebuilding()) as address:
        page = look(address)
        reached = []
        for _ in range(30):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate(
                    """() => { const it = document.activeElement, style = getComputedStyle(it);
                    return [it.textContent.trim().slice(0, 30), style.outlineStyle, parseFloat(style.outlineWidth)]; }"""
                )
            )
            if reached[-1][0] == "readyz":
                break
        names = [each[0] for each in reached]
        assert names[0] == "To the partitions"
        assert names.count("By the minute") == 4
        assert "Runbook: StreamAppStateRebuilding"[:30] in names
        assert names[-1] == "readyz"
        assert all(style == "solid" and width >= 2 for _, style, width in reached)


def test_focus_stays_where_it_is_while_the_figures_change(look: Look) -> None:
    """Elements are written anew only where they say something else."""
    with served(healthy()) as address:
        page = look(address)
        page.focus("figure summary >> nth=1")
        page.keyboard.press("Enter")
        then = text(page, "#fresh")
        eventually("newer figures are there", lambda: text(page, "#fresh") != then, 15.0)
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
        assert page.locator("figure >> nth=1").locator("details[open] tbody tr").count() == 10


def test_plots_and_tables_say_in_words_what_they_show(look: Look) -> None:
    """Names, captions and heads of rows; each plot has its figures by the minute."""
    with served(healthy()) as address:
        page = look(address)
        for plot in page.locator("svg.plot").all():
            words = plot.get_attribute("aria-label") or ""
            assert plot.get_attribute("role") == "img"
            assert re.match(r"\w[\w ]+, the last 10 minutes: now .*; highest .*", words), words
        for table in page.locator("#partitions table, #rest table").all():
            assert table.locator("thead th[scope=col]").count() >= 3
            assert table.locator("tbody th[scope=row]").count() >= 1
        assert page.locator("#partitions th[scope=rowgroup]").all_inner_texts() == [
            "flights.arrived", "flights.boarding",
        ]  # fmt: skip
        assert page.locator("svg.spark:not([aria-hidden])").count() == 0
        assert page.locator("html[lang=en]").count() == 1
        assert [each.inner_text() for each in page.locator("h1").all()] == ["flights"]


def test_the_policy_keeps_a_script_out_that_got_into_the_page(look: Look) -> None:
    """Also where somebody made a mistake one day."""
    with served(healthy()) as address:
        page = look(address, may_complain=True)
        refused = page.evaluate(
            """() => { try { document.body.innerHTML += '<img src=x onerror="window.taken = 1">'; return ''; }
            catch (error) { return error.name; } }"""
        )
        assert refused == "TypeError"
        assert page.evaluate("window.taken") is None
        refusals = page.evaluate(
            """() => new Promise((resolve) => {
            document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
            fetch('http://127.0.0.1:9/').catch(() => {}); })"""
        )
        assert refusals == "connect-src"


@pytest.mark.parametrize("size", SIZES)
def test_the_page_of_several_workers_names_each_and_what_it_holds(look: Look, size: str) -> None:
    """Its name is that of the log, and each partition says who holds it."""
    with served(several()) as address:
        page = look(address, size)
        workers = page.locator("[aria-label='Workers of this host'] tbody tr")
        told = [each.inner_text().split("\t") for each in workers.all()]
        assert [each[:2] for each in told] == [
            ["1", "ingest-host-03:41"],
            ["2", "ingest-host-03:42"],
            ["3", "ingest-host-03:43"],
            ["4", "does not answer"],
        ]
        assert [each[5] for each in told][:3] == ["4", "2", "2"]
        held = page.locator("#partitions tbody tr td.holder").all_inner_texts()
        assert len(held) == 8
        assert {each.strip() for each in held} == {"1", "2", "3"}
        assert "Worker 2: The worker waits for redis" in page.inner_text("#verdict")
        assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
