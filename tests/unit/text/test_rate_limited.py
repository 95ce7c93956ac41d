"""Lines of the log that are not written without end."""

from stream_app.text.rate_limited import RateLimited


def test_a_line_is_written_once_in_a_while_and_the_others_are_counted() -> None:
    """The next line says how many were left out."""
    lines: list[str] = []
    now = 0.0
    tell = RateLimited(
        lambda message, *arguments: lines.append(message % arguments), 10.0, lambda: now
    )
    for number in range(5):
        tell("record %d", number)
    now = 10.0
    tell("record %d", 5)
    now = 20.0
    tell("record %d", 6)
    assert lines == ["record 0", "record 5 (4 more like this were not told)", "record 6"]


def test_what_a_line_is_about_goes_with_it() -> None:
    """The fields by which whoever collects the log finds the record."""
    fields: list[object] = []
    tell = RateLimited(lambda _, **options: fields.append(options))
    tell("dropped", extra={"offset": 7})
    assert fields == [{"extra": {"offset": 7}}]
