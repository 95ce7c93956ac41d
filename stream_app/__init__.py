"""Streaming inference on Kafka: events in, predictions out, nothing lost.

The names of `__all__` are all that an author imports, to serve a use case and to train its models.
Each is loaded at its first use: whoever asks for none, as the command line's help does, starts
without pydantic and numpy. None of them loads Kafka, Faust, Redis or ONNX Runtime.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stream_app.features.answer import Outputs, Row, per_batch
    from stream_app.features.engine.replay import replay
    from stream_app.features.events import Event, InvalidEventError, JsonDecoder, Moment
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
    from stream_app.features.model_version.baseline import measure_baseline
    from stream_app.features.model_version.folder import write_version
    from stream_app.features.model_version.golden import GoldenVector, record_golden_events
    from stream_app.features.model_version.manifest import (
        Manifest,
        ModelInput,
        ModelOutput,
        TrainingData,
    )
    from stream_app.features.usecase import (
        InputTopic,
        Outcome,
        Prediction,
        TimeBounds,
        UseCase,
    )
    from stream_app.features.views import Column, Derived, Entity, FeatureSet, RowFeature, View

__all__ = [
    "Column", "DecayedMoments", "DecayedShare", "DecayedSums", "Derived", "Distinct",
    "DistinctEver", "Entity", "Event", "Extremes", "FeatureSet", "GoldenVector", "InputTopic",
    "InvalidEventError", "JsonDecoder", "LastN", "LastText", "LastValue", "Manifest",
    "ModelInput", "ModelOutput", "Moment", "OpenItems", "Outcome", "Outputs", "Prediction",
    "Row", "RowFeature", "State", "TimeBounds", "TrainingData", "Update", "UseCase", "View",
    "Windows", "measure_baseline", "per_batch", "record_golden_events", "replay",
    "write_version",
]  # fmt: skip

__version__ = "0.1.0"

_NAMES_BY_MODULE: Final = {
    "answer": ("Outputs", "Row", "per_batch"),
    "engine.replay": ("replay",),
    "events": ("Event", "InvalidEventError", "JsonDecoder", "Moment"),
    "model_version.baseline": ("measure_baseline",),
    "model_version.folder": ("write_version",),
    "model_version.golden": ("GoldenVector", "record_golden_events"),
    "model_version.manifest": ("Manifest", "ModelInput", "ModelOutput", "TrainingData"),
    "kinds": (
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
    "usecase": ("InputTopic", "Outcome", "Prediction", "TimeBounds", "UseCase"),
    "views": ("Column", "Derived", "Entity", "FeatureSet", "RowFeature", "View"),
}
#: Public name to the module that defines it.
_MODULE_OF: Final = {
    name: f"stream_app.features.{module}"
    for module, names in _NAMES_BY_MODULE.items()
    for name in names
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
