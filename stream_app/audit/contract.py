"""What a prediction says, if it says it as the use case declares."""

from __future__ import annotations

import json

from pydantic import ValidationError

from stream_app.features.usecase import Prediction
from stream_app.text.foreign import bounded

__all__ = ["read_prediction"]


def read_prediction(contract: type[Prediction], value: bytes) -> Prediction:
    """Read the value of a prediction; raises `ValueError` with a sentence that quotes no value.

    As strictly as the JSON Schema of the predictions topic reads: no text for a number.
    """
    try:
        found = contract.model_validate_json(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = bounded(".".join(str(part) for part in first["loc"]))
        raise ValueError(f"{where or 'its value'}: {bounded(first['msg'])}") from None
    except Exception as error:  # a validator of the use case may raise anything
        raise ValueError(f"its contract raised {type(error).__qualname__}") from error
    if b"NaN" in value or b"Infinity" in value:  # pydantic reads both as numbers
        json.loads(value, parse_constant=_refuse)
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
