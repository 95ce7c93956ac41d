"""Model versions in serving: loaded with every check before the first record, then scored with."""

from stream_app.models.errors import ModelRefusedError, ScoringError
from stream_app.models.loading import load_model, load_models
from stream_app.models.model import Model, finite

__all__ = ["Model", "ModelRefusedError", "ScoringError", "finite", "load_model", "load_models"]
