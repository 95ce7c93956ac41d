"""The examples of the decoders' docstrings, which their pages show."""

import doctest
import inspect

import pytest

from stream_app.features.events import EventDecoder
from stream_app.generated_docs.class_pages import GROUPS

DECODERS = [m for group in GROUPS for m in group.members if issubclass(m, EventDecoder)]


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda each: each.__name__)
def test_each_decoder_has_an_example_that_is_true(decoder: type) -> None:
    """It is run as a reader would run it, with nothing imported; that of a registry's needs none."""
    pytest.importorskip("confluent_kafka.schema_registry", exc_type=ImportError)
    # The surface gives classes its own name; their lines are in the module of their functions.
    module = inspect.getmodule(decoder.__init__)
    assert module is not None
    found = doctest.DocTestFinder().find(decoder, decoder.__name__, module=module, globs={})
    examples = [each for each in found if each.examples]
    assert len(examples) == 1, f"{decoder.__name__} has no example"
    told: list[str] = []
    assert doctest.DocTestRunner().run(examples[0], out=told.append).failed == 0, "".join(told)
