"""The folder of a model version: what training writes and serving reads, and nothing else.

    <version>/
      manifest.json        the contract below; names every other file with its sha256
      model.onnx           the graph, fitted encodings included
      baseline.json        distributions of columns and outputs, see `stream_app.features.model_version.baseline`
      golden.json          rows with the outputs expected for them, see `stream_app.features.model_version.golden`
      golden_events.jsonl  a log with the columns expected for it, see `stream_app.features.model_version.golden`

`stream_app.features.model_version.folder` writes (`write_version`) and reads (`read_version`) such a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from stream_app.features.views import Dtype

__all__ = [
    "BASELINE", "GOLDEN", "GOLDEN_EVENTS", "MANIFEST", "MODEL", "Manifest", "ModelInput", "ModelOutput",
    "ModelVersionError", "TrainingData",
]  # fmt: skip

MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
BASELINE: Final = "baseline.json"
GOLDEN: Final = "golden.json"
GOLDEN_EVENTS: Final = "golden_events.jsonl"

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]


class ModelVersionError(Exception):
    """A model version's folder breaks its contract; the message says where, and what to do."""


class ModelInput(BaseModel):
    """A named input of the graph, of shape (rows, columns)."""

    model_config = _STRICT

    name: str
    dtype: Dtype
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the feature set's columns, in the order of the tensor's second axis."""


class ModelOutput(BaseModel):
    """A named output of the graph, of shape (rows, *shape)."""

    model_config = _STRICT

    name: str
    dtype: Literal["float32", "float64", "int64", "string"]
    shape: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """What follows the rows: () for one value a row, (3,) for three."""


class TrainingData(BaseModel):
    """The data the model was fitted on: a window of event time, and what exactly was in it."""

    model_config = _STRICT

    start: Annotated[AwareDatetime, Field(alias="from")]
    """First moment of the window (RFC 3339 with an offset)."""
    end: Annotated[AwareDatetime, Field(alias="to")]
    """The moment the window ends; it is not in it."""
    rows: Annotated[int, Field(ge=1)]
    sha256: Sha256
    """Of the training data as its trainer defines it, e.g. the source files or the matrix."""

    @model_validator(mode="after")
    def _forward(self) -> TrainingData:
        if self.end <= self.start:
            raise ValueError("the window must end after it starts")
        return self


class Manifest(BaseModel):
    """`manifest.json`: what a model version is, what it takes and gives, and where it came from."""

    model_config = _STRICT

    layout: Literal[1] = 1
    """Of the folder; a reader refuses one it does not know."""
    name: PlainName
    version: PlainName
    files: Mapping[PlainName, Sha256] = {}
    """Every file of the folder but this one. `write_version` fills it in."""
    inputs: Annotated[tuple[ModelInput, ...], Field(min_length=1)]
    features_fingerprint: Sha256
    """`FeatureSet.fingerprint()` of the declaration it was trained with."""
    outputs: Annotated[tuple[ModelOutput, ...], Field(min_length=1)]
    decision: Mapping[str, JsonValue] = {}
    """Handed to `UseCase.answer` with the outputs, e.g. ``{"threshold": 0.3}``."""
    score_decimals: Annotated[int, Field(ge=0, le=15)] | None = None
    """Round float outputs to so many decimals, for a graph whose last bits vary with the batch."""
    training_data: TrainingData
    code_commit: Annotated[str, Field(pattern=r"^([0-9a-f]{7,64}(-dirty)?|unknown)$")]
    """Git commit of the training code; ``-dirty`` where the tree had changes."""
    parameters: Mapping[str, JsonValue] = {}
    seed: int
    metrics: Mapping[str, float]
    libraries: Mapping[str, str]
    """Versions of what trained it, by distribution name; ``python`` among them."""
    created: AwareDatetime
    """Given, not taken from the clock: the commit's time, say, so that training is reproducible."""

    @field_validator("files", mode="after")
    @classmethod
    def _not_itself(cls, files: Mapping[str, str]) -> Mapping[str, str]:
        if MANIFEST in files:
            raise ValueError(f"{MANIFEST} cannot hold its own hash")
        return files

    @model_validator(mode="after")
    def _distinct(self) -> Manifest:
        columns = [column for tensor in self.inputs for column in tensor.columns]
        for kind, names in (
            ("input", [tensor.name for tensor in self.inputs]),
            ("column", columns),
            ("output", [output.name for output in self.outputs]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{kind} named twice: {', '.join(twice)}")
        return self

    def columns(self) -> dict[str, Dtype]:
        """Every column of the inputs with its dtype, in order."""
        return {column: tensor.dtype for tensor in self.inputs for column in tensor.columns}
