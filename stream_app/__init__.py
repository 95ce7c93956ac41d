"""Streaming inference on Kafka: events in, predictions out, nothing lost.

The names of `__all__` are all that an author imports, to serve a use case and to train its models.
Each is loaded at its first use: whoever asks for none, as the command line's help does, starts
without pydantic and numpy. None of them loads Kafka, Faust, Redis or ONNX Runtime.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
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
    from stream_app.features.log_record import LogRecord
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
        Outputs,
        Prediction,
        TimeBounds,
        UseCase,
    )
    from stream_app.features.views import Column, Entity, FeatureSet, RowFeature, View
    from stream_app.training.encoding import fit_one_hot, fit_ordinal, fit_target_mean
    from stream_app.training.log import read_log
    from stream_app.training.make_matrix import make_matrix
    from stream_app.training.matrix import Matrix
    from stream_app.training.package import package
    from stream_app.training.report import Packaged
    from stream_app.training.topic_log import read_topics

__all__ = [
    "Column", "DecayedMoments", "DecayedShare", "DecayedSums", "Distinct", "DistinctEver",
    "Entity", "Event", "Extremes", "FeatureSet", "GoldenVector", "InputTopic", "InvalidEventError",
    "JsonDecoder", "LastN", "LastText", "LastValue", "LogRecord", "Manifest", "Matrix",
    "ModelInput", "ModelOutput", "Moment", "OpenItems", "Outcome", "Outputs", "Packaged",
    "Prediction", "RowFeature", "State", "TimeBounds", "TrainingData", "Update", "UseCase", "View",
    "Windows", "fit_one_hot", "fit_ordinal", "fit_target_mean", "make_matrix", "measure_baseline",
    "package", "read_log", "read_topics", "record_golden_events", "replay", "write_version",
]  # fmt: skip

__version__ = "0.1.0"

_NAMES_BY_MODULE: Final = {
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
    "usecase": ("InputTopic", "Outcome", "Outputs", "Prediction", "TimeBounds", "UseCase"),
    "views": ("Column", "Entity", "FeatureSet", "RowFeature", "View"),
    "log_record": ("LogRecord",),
}
_TRAINING: Final = {
    "encoding": ("fit_one_hot", "fit_ordinal", "fit_target_mean"),
    "log": ("read_log",),
    "make_matrix": ("make_matrix",),
    "matrix": ("Matrix",),
    "package": ("package",),
    "report": ("Packaged",),
    "topic_log": ("read_topics",),
}
#: Public name to the module that defines it.
_MODULE_OF: Final = {
    name: f"stream_app.{room}.{module}"
    for room, modules in (("features", _NAMES_BY_MODULE), ("training", _TRAINING))
    for module, names in modules.items()
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
