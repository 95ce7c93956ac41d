"""Fixtures of the tiny use case in `sales`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_app.models import Model
from tests.unit.models.sales import Version


@pytest.fixture
def version(tmp_path: Path) -> Version:
    """A version that loads."""
    return Version(tmp_path / "sales" / "1")


@pytest.fixture
def model(version: Version) -> Model:
    """The version, loaded."""
    return version.load()


#: A row of the feature set's columns with random numbers.
MakeRow = Callable[[], list[Any]]


@pytest.fixture
def make_row() -> MakeRow:
    """Make rows with numbers of all sizes, missing ones and shops never seen."""
    random = np.random.default_rng(1)

    def make() -> list[Any]:
        shop = str(random.choice(["north", "south", "elsewhere", ""]))
        mean = float("nan") if random.random() < 0.2 else float(random.normal() * 3.0)
        return [mean, float(random.normal() * 5.0), shop, len(shop), 1.0]

    return make
