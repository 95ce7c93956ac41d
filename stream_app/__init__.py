"""Streaming inference on Kafka: events in, predictions out, nothing lost.

The names of `__all__` are all that an author imports, to serve a use case and to train its models.
Each is loaded at its first use: whoever asks for none, as the command line's help does, starts
without pydantic and numpy. None of them loads Kafka, Faust, Redis or ONNX Runtime.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stream_app.decoders.avro import AvroDecoder
    from stream_app.decoders.json_schema import JsonSchemaDecoder
    from stream_app.decoders.protobuf import ProtobufDecoder
    from stream_app.errors import ServiceAwayError
    from stream_app.features.answer import Outputs, Row, per_batch
    from stream_app.features.engine.replay import replay
    from stream_app.features.events.cloudevents import CloudEvent, CloudEventsDecoder
    from stream_app.features.events.decoder import Decoder
    from stream_app.features.events.event import Event
    from stream_app.features.events.header_decoder import HeaderDecoder
    from stream_app.features.events.invalid import InvalidEventError
    from stream_app.features.events.json_decoder import JsonDecoder
    from stream_app.features.events.message import LogRecord, Message
    from stream_app.features.events.moments import EpochMilliseconds, EpochSeconds, Moment
    from stream_app.features.events.record_fields import from_header, from_key, from_timestamp
    from stream_app.features.kinds import (
        DecayedMoments,
        DecayedShare,
        DecayedSums,
        Distinct,
        DistinctEver,
        Extremes,
        LastN,
        LastText,
        LastValue,
        OpenItems,
        State,
        Update,
        Windows,
    )
    from stream_app.features.usecase import (
        InputTopic,
        Outcome,
        Prediction,
        TimeBounds,
        UseCase,
    )
    from stream_app.features.views import Column, Derived, Entity, FeatureSet, RowFeature, View
    from stream_app.training.encoding import fit_one_hot, fit_ordinal, fit_target_mean
    from stream_app.training.log import read_log
    from stream_app.training.make_matrix import make_matrix
    from stream_app.training.matrix import Matrix
    from stream_app.training.package import package
    from stream_app.training.report import Packaged
    from stream_app.training.script import run_script
    from stream_app.training.topic_log import read_topics

__all__ = [
    "AvroDecoder",
    "CloudEvent",
    "CloudEventsDecoder",
    "Column",
    "DecayedMoments",
    "DecayedShare",
    "DecayedSums",
    "Decoder",
    "Derived",
    "Distinct",
    "DistinctEver",
    "Entity",
    "EpochMilliseconds",
    "EpochSeconds",
    "Event",
    "Extremes",
    "FeatureSet",
    "HeaderDecoder",
    "InputTopic",
    "InvalidEventError",
    "JsonDecoder",
    "JsonSchemaDecoder",
    "LastN",
    "LastText",
    "LastValue",
    "LogRecord",
    "Matrix",
    "Message",
    "Moment",
    "OpenItems",
    "Outcome",
    "Outputs",
    "Packaged",
    "Prediction",
    "ProtobufDecoder",
    "Row",
    "RowFeature",
    "ServiceAwayError",
    "State",
    "TimeBounds",
    "Update",
    "UseCase",
    "View",
    "Windows",
    "fit_one_hot",
    "fit_ordinal",
    "fit_target_mean",
    "from_header",
    "from_key",
    "from_timestamp",
    "make_matrix",
    "package",
    "per_batch",
    "read_log",
    "read_topics",
    "replay",
    "run_script",
]  # fmt: skip

__version__ = "0.1.0"

_NAMES_BY_MODULE: Final = {
    "decoders.avro": ("AvroDecoder",),
    "decoders.json_schema": ("JsonSchemaDecoder",),
    "decoders.protobuf": ("ProtobufDecoder",),
    "errors": ("ServiceAwayError",),
    "features.answer": ("Outputs", "Row", "per_batch"),
    "features.engine.replay": ("replay",),
    "features.events.cloudevents": ("CloudEvent", "CloudEventsDecoder"),
    "features.events.decoder": ("Decoder",),
    "features.events.event": ("Event",),
    "features.events.header_decoder": ("HeaderDecoder",),
    "features.events.invalid": ("InvalidEventError",),
    "features.events.json_decoder": ("JsonDecoder",),
    "features.events.message": ("Message", "LogRecord"),
    "features.events.moments": ("EpochMilliseconds", "EpochSeconds", "Moment"),
    "features.events.record_fields": ("from_header", "from_key", "from_timestamp"),
    "features.kinds": (
        "DecayedMoments",
        "DecayedShare",
        "DecayedSums",
        "Distinct",
        "DistinctEver",
        "Extremes",
        "LastN",
        "LastText",
        "LastValue",
        "OpenItems",
        "State",
        "Update",
        "Windows",
    ),
    "features.usecase": ("InputTopic", "Outcome", "Prediction", "TimeBounds", "UseCase"),
    "features.views": ("Column", "Derived", "Entity", "FeatureSet", "RowFeature", "View"),
    "training.encoding": ("fit_one_hot", "fit_ordinal", "fit_target_mean"),
    "training.log": ("read_log",),
    "training.make_matrix": ("make_matrix",),
    "training.matrix": ("Matrix",),
    "training.package": ("package",),
    "training.report": ("Packaged",),
    "training.script": ("run_script",),
    "training.topic_log": ("read_topics",),
}
#: Public name to the module that defines it.
_MODULE_OF: Final = {
    name: f"stream_app.{module}" for module, names in _NAMES_BY_MODULE.items() for name in names
}

# Hidden from type checkers, to which a module with `__getattr__` has every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name at its first use (PEP 562)."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        """The public names too, loaded or not."""
        return sorted({*globals(), *__all__})
