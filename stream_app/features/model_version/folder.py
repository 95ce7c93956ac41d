"""Writing and reading the folder of a model version, see `stream_app.features.model_version.manifest` for what is in it.

A version never changes. The same arguments give the same bytes (keys sorted, nothing taken from
the clock), so training can be shown to be reproducible by writing a version twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from stream_app.features.model_version.baseline import Baseline, Categories
from stream_app.features.model_version.golden import (
    Cell,
    GoldenEvent,
    GoldenVector,
    read_lines,
    write_lines,
)
from stream_app.features.model_version.manifest import (
    BASELINE,
    GOLDEN,
    GOLDEN_EVENTS,
    MANIFEST,
    MODEL,
    Manifest,
    ModelVersionError,
    NotTrainedError,
)
from stream_app.features.views import Dtype

__all__ = ["VersionFolder", "read_manifest", "read_version", "write_version"]

_REQUIRED: Final = (MODEL, BASELINE, GOLDEN, GOLDEN_EVENTS)


class VersionFolder(BaseModel):
    """A version's folder, read and verified: what was hashed is what is held here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    manifest: Manifest
    model: bytes
    """The serialized ONNX graph."""
    baseline: Baseline
    golden: tuple[GoldenVector, ...]
    golden_events: tuple[GoldenEvent, ...]
    others: Mapping[str, bytes]
    """Further files, e.g. fitted encodings, by name."""


_VECTORS: TypeAdapter[tuple[GoldenVector, ...]] = TypeAdapter(tuple[GoldenVector, ...])


def write_version(
    folder: Path,
    manifest: Manifest,
    *,
    model: bytes,
    baseline: Baseline,
    golden: Sequence[GoldenVector],
    golden_events: Sequence[GoldenEvent],
    others: Mapping[str, bytes] | None = None,
) -> Manifest:
    """Write a version's folder and return its manifest, hashes filled in.

    The folder appears as a whole or not at all. Writing the same version again is allowed and changes nothing; raises `ModelVersionError` where
    the folder holds anything else, and `ValueError` where the parts do not belong together: golden
    vectors with other columns or outputs than the manifest, none with every number missing, none
    with an unseen category, no golden event with columns.
    """
    _check_golden(manifest, baseline, golden)
    _check_events(manifest, golden_events)
    files = {
        MODEL: model,
        BASELINE: _to_json(baseline.model_dump(mode="json")),
        GOLDEN: _to_json(_VECTORS.dump_python(tuple(golden), mode="json")),
        GOLDEN_EVENTS: write_lines(golden_events),
    }
    clash = files.keys() & (others or {}).keys()
    if clash:
        raise ValueError(f"{', '.join(sorted(clash))}: not a name for a further file")
    files |= others or {}
    fields = manifest.model_dump(by_alias=True)
    fields["files"] = {name: _sha256(content) for name, content in sorted(files.items())}
    manifest = Manifest.model_validate(fields)
    files[MANIFEST] = _to_json(manifest.model_dump(mode="json", by_alias=True))

    if folder.exists() and any(folder.iterdir()):
        _refuse_other(folder, files)
        return manifest
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside it, on the same file system: renaming is what makes it appear as a whole.
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        draft = Path(beside) / "version"
        draft.mkdir()
        for name, content in files.items():
            (draft / name).write_bytes(content)
        draft.rename(folder)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a version's folder; raises `ModelVersionError`. Hashes are not compared."""
    if not folder.exists():
        raise NotTrainedError(folder)
    content = _read(folder, MANIFEST, "is this the folder of a model version?")
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise _invalid(folder, MANIFEST, error) from None


def read_version(folder: Path) -> VersionFolder:
    """Read a version's folder, every file against its hash; raises `ModelVersionError`."""
    manifest = read_manifest(folder)
    for name in _REQUIRED:
        if name not in manifest.files:
            raise ModelVersionError(
                f"{folder / MANIFEST} does not list {name}, which every version has: "
                "write the version again."
            )
    contents = {name: _read(folder, name, "restore the folder.") for name in manifest.files}
    for name, content in contents.items():
        if _sha256(content) != manifest.files[name]:
            raise ModelVersionError(
                f"{folder / name} is not the file that {MANIFEST} describes (its sha256 differs): "
                "restore the folder, a version is never edited."
            )
    extra = sorted({path.name for path in folder.iterdir()} - contents.keys() - {MANIFEST})
    if extra:
        raise ModelVersionError(
            f"{folder / extra[0]} is not listed in {MANIFEST}: remove it, or write the version "
            "again with it."
        )
    try:
        name = BASELINE
        baseline = Baseline.model_validate_json(contents[BASELINE])
        name = GOLDEN
        golden = _VECTORS.validate_json(contents[GOLDEN])
        name = GOLDEN_EVENTS
        golden_events = read_lines(contents[GOLDEN_EVENTS])
    except ValidationError as error:
        raise _invalid(folder, name, error) from None
    return VersionFolder(
        manifest=manifest,
        model=contents[MODEL],
        baseline=baseline,
        golden=golden,
        golden_events=tuple(golden_events),
        others={name: contents[name] for name in contents if name not in _REQUIRED},
    )


def _check_golden(manifest: Manifest, baseline: Baseline, golden: Sequence[GoldenVector]) -> None:
    columns = manifest.columns()
    for name in columns:
        if name not in baseline.columns:
            raise ValueError(f"the baseline lacks the column {name}")
    for vector in golden:
        _check_vector(manifest, vector)
    # Columns of whole numbers have no missing; a tensor of floats may take them too.
    numbers = manifest.numbers()
    if not any(not any(isinstance(v.columns[n], float) for n in numbers) for v in golden):
        raise ValueError("no golden vector has every column of floats missing (None)")
    for name in manifest.texts():
        known = baseline.columns[name]
        if not isinstance(known, Categories):
            raise ValueError(f"the baseline of the column {name} is not one of texts")  # noqa: TRY004
        if all(vector.columns[name] in known.shares for vector in golden):
            raise ValueError(f"no golden vector has an unseen value of {name}")


def _check_events(manifest: Manifest, golden_events: Sequence[GoldenEvent]) -> None:
    rows = [event.columns for event in golden_events if event.columns is not None]
    if not rows:
        raise ValueError("no golden event has columns: none asks for a prediction")
    for row in rows:
        for name in manifest.columns():
            if name not in row:
                raise ValueError(f"a golden event lacks the column {name}")


def _check_vector(manifest: Manifest, vector: GoldenVector) -> None:
    columns = manifest.columns()
    outputs = {output.name for output in manifest.outputs}
    if vector.columns.keys() != columns.keys() or vector.outputs.keys() != outputs:
        raise ValueError(
            f"golden vector {vector.case!r} has other columns or outputs than the manifest"
        )
    for name, cell in vector.columns.items():
        dtype = "string" if name in manifest.encodings else columns[name]
        if not _is(dtype, cell):
            raise ValueError(f"golden vector {vector.case!r}: {name} is not {dtype}")


def _is(dtype: Dtype, cell: Cell) -> bool:
    if dtype in ("float32", "float64"):
        return not isinstance(cell, str)
    return isinstance(cell, str if dtype == "string" else int)


def _refuse_other(folder: Path, files: Mapping[str, bytes]) -> None:
    present = {path.name for path in folder.iterdir()}
    for name in sorted(present | files.keys()):
        if name not in files or name not in present or (folder / name).read_bytes() != files[name]:
            raise ModelVersionError(
                f"{folder} already holds a version and its {name} differs: a version is never "
                "changed; choose another version (package(..., renumber=True) takes the next that is "
                "free), or remove the folder first."
            )


def _read(folder: Path, name: str, remedy: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise ModelVersionError(
            f"{folder / name} cannot be read ({error.strerror}): {remedy}"
        ) from None


def _invalid(folder: Path, name: str, error: ValidationError) -> ModelVersionError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the document"
    return ModelVersionError(
        f"{folder / name} breaks its contract at {where} ({first['msg']}): write the version "
        "again with this release, or serve it with the release that wrote it."
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _to_json(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()
