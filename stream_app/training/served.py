"""Which version of a model the use case names, beside the one that was just written."""

from __future__ import annotations

from pathlib import Path

from stream_app.features.model_version.folder import read_manifest
from stream_app.features.model_version.manifest import Manifest, ModelVersionError
from stream_app.features.usecase import UseCase

__all__ = ["is_served", "name_to_serve", "served_version"]


def is_served(folder: Path, usecase: UseCase) -> bool:
    """Whether the use case names this folder, whatever the root of its artifacts is."""
    return any(_below(folder, served) == folder for served in usecase.models)


def name_to_serve(folder: Path, usecase: UseCase) -> str:
    """What the use case names the folder by, as deep below the root of artifacts as its champion is."""
    depth = len(Path(usecase.champion).parts)
    return "/".join(folder.absolute().parts[-depth:])


def served_version(folder: Path, usecase: UseCase, name: str) -> Manifest | None:
    """The manifest of the model `name` that the use case serves from another folder, if there is one."""
    for served in usecase.models:
        other = _below(folder, served)
        if other == folder or not other.is_dir():
            continue
        try:
            manifest = read_manifest(other)
        except ModelVersionError:
            continue
        if manifest.name == name:
            return manifest
    return None


def _below(folder: Path, served: str) -> Path:
    """The served folder below the root that `folder` has, if it is as deep."""
    depth = len(Path(served).parts)
    absolute = folder.absolute()
    root = absolute.parents[depth - 1] if depth <= len(absolute.parents) else absolute
    found = root / served
    return folder if found == absolute else found
