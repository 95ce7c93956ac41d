"""The contracts of a use case's topics, as JSON Schemas below `docs/contracts/`.

``python -m stream_app.generated_docs.contracts`` writes them for the use case of `stream_app.toml`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream_app.features.usecase import UseCase

__all__ = ["contracts"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def contracts(usecase: UseCase) -> Mapping[str, str]:
    """File name to content: a contract for each topic of JSON events and for the predictions."""
    schemas = {
        topic.name: schema
        for topic in usecase.topics
        if (schema := topic.decoder.json_schema()) is not None
    }
    schemas[usecase.predictions_topic] = usecase.prediction.model_json_schema()
    return {f"{topic}.schema.json": _document(schema) for topic, schema in schemas.items()}


def _document(schema: Mapping[str, Any]) -> str:
    return json.dumps({"$schema": _DIALECT, **schema}, indent=2, ensure_ascii=False) + "\n"


def main(directory: Path, usecase: UseCase) -> None:
    """Write every contract."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contracts(usecase).items():
        (directory / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    from stream_app.config.settings import Settings
    from stream_app.config.usecase import chosen_usecase

    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/contracts"),
        chosen_usecase(Settings.load()),
    )
