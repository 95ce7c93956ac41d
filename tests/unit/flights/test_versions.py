"""The versions that the demo serves are those that today's training writes."""

from pathlib import Path

import pytest

from features.flights import usecase
from stream_app.features.model_version.folder import read_version
from stream_app.models.loading import load_version
from stream_app.training.answer_reach import unreached_in_answer
from stream_app.training.golden_events import unreached

ARTIFACTS = Path(__file__).parents[3] / "artifacts"


@pytest.mark.parametrize("name", usecase.models)
def test_its_golden_events_reach_every_type_view_and_branch(name: str) -> None:
    """So that no function of declaration or answer can change unnoticed."""
    version = read_version(ARTIFACTS / name)
    assert unreached(usecase, version.golden_events) == ()
    model = load_version(ARTIFACTS / name, usecase)
    assert unreached_in_answer(usecase, model, version) == ()


@pytest.mark.parametrize("name", usecase.models)
def test_what_training_learned_of_texts_is_in_the_versions_folder(name: str) -> None:
    """And not in nodes of its graph, which nobody can read."""
    manifest = read_version(ARTIFACTS / name).manifest
    assert manifest.encodings.keys() == {"carrier", "origin", "destination", "route"}
