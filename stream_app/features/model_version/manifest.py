"""The folder of a model version: what training writes and serving reads, and nothing else.

    <version>/
      manifest.json        the contract below; names every other file with its sha256
      model.onnx           the graph; external weights are part of the file
      baseline.json        distributions of columns and outputs, see `stream_app.features.model_version.baseline`
      golden.json          rows with the outputs expected for them, see `stream_app.features.model_version.golden`
      golden_events.jsonl  a log with the columns expected for it, see `stream_app.features.model_version.golden`

`stream_app.features.model_version.folder` writes (`write_version`) and reads (`read_version`) such a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
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

from stream_app.errors import ConfigurationError
from stream_app.features.model_version.encodings import Encoding
from stream_app.features.views import Dtype

__all__ = [
    "BASELINE", "GOLDEN", "GOLDEN_EVENTS", "MANIFEST", "MODEL", "Manifest", "ModelInput", "ModelOutput",
    "ModelVersionError", "NotTrainedError", "TrainingData",
]  # fmt: skip

MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
BASELINE: Final = "baseline.json"
GOLDEN: Final = "golden.json"
GOLDEN_EVENTS: Final = "golden_events.jsonl"

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]


class ModelVersionError(ConfigurationError):
    """A model version's folder breaks its contract; the message says where, and what to do."""


class NotTrainedError(ModelVersionError):
    """There is no folder of a version: nobody has trained it yet, or not here."""

    def __init__(self, folder: Path) -> None:
        found = folder.parent.iterdir() if folder.parent.is_dir() else ()
        others = sorted(path.name for path in found if (path / MANIFEST).is_file())
        there = f" (of {folder.parent} there is {', '.join(others)})" if others else ""
        if not found and folder.parts[-4:-3] == folder.parts[-3:-2]:
            super().__init__(
                f"there is no folder {folder}: a use case names a version as it lies in the folder of "
                f"versions, {folder.parent.name}/{folder.name}."
            )
            return
        super().__init__(
            f"{folder} is not trained yet{there}: run what trains it and calls stream_app.package(); "
            "in a project of `stream-app new`, python -m NAME.training.train log.jsonl."
        )


class ModelInput(BaseModel):
    """A named input of the graph, of shape (rows, columns); an encoded column has its width."""

    model_config = _STRICT

    name: str
    dtype: Dtype
    """Of the tensor. Floats take any column of numbers, int64 takes int64 and bool."""
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the feature set's columns, in the order of the tensor's second axis."""


class ModelOutput(BaseModel):
    """A named output of the graph, of shape (rows, *shape)."""

    model_config = _STRICT

    name: str
    dtype: Dtype
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
    features: Mapping[str, JsonValue] = {}
    """`FeatureSet.describe()` of it: what a refusal names the difference by."""
    encodings: Mapping[str, Encoding] = {}
    """Of columns of text that the tensors take as numbers, by column."""
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
        for name in sorted(self.encodings):
            if self.columns().get(name, "string") != "string":
                continue
            why = "a tensor of strings takes it" if name in columns else "no input takes it"
            raise ValueError(f"the column {name} has an encoding, and {why}")
        return self

    def columns(self) -> dict[str, Dtype]:
        """Every column of the inputs with the dtype of its tensor, in order."""
        return {column: tensor.dtype for tensor in self.inputs for column in tensor.columns}

    def numbers(self) -> list[str]:
        """The columns whose cells may be missing: those of float tensors, encoded ones apart."""
        return [
            column
            for column, dtype in self.columns().items()
            if dtype in ("float32", "float64") and column not in self.encodings
        ]

    def texts(self) -> list[str]:
        """The columns whose cells are text: those of string tensors, and encoded ones."""
        return [
            column
            for column, dtype in self.columns().items()
            if dtype == "string" or column in self.encodings
        ]

    def width(self, tensor: ModelInput) -> int:
        """How many numbers or strings a row of an input has."""
        return sum(
            self.encodings[column].width if column in self.encodings else 1
            for column in tensor.columns
        )
