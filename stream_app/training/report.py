"""What packaging did, for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stream_app.features.model_version.encodings import OneHot, Ordinal
from stream_app.features.model_version.manifest import Manifest
from stream_app.training.parity import Parity

__all__ = ["Packaged"]


_NO_FALLBACK = "such events become dead letters, as the use case has no fallback"


@dataclass(frozen=True)
class Packaged:
    """A version that was written and passed every check; as text a short report."""

    folder: Path
    manifest: Manifest
    stood_already: bool
    """Whether the same version stood in the folder, and nothing was written."""
    parity: Parity | None
    """How far the graph is from the model it was made from; None where there was nothing to compare."""
    golden_events: int
    unreached: tuple[str, ...]
    """What of the declaration no golden event reaches: a change there would not be noticed."""
    without_answer: tuple[str, ...]
    """Golden vectors for which the model gives no finite output: there a fallback serves."""
    has_fallback: bool
    """Whether the use case has one: else such events become dead letters."""
    name: str
    """What a use case names the folder by."""
    is_served: bool
    """Whether the use case names this folder."""
    served: Manifest | None
    """The version of the same model that the use case names instead."""

    def __str__(self) -> str:
        """A line a fact."""
        manifest = self.manifest
        stood = "stood already and is the same" if self.stood_already else "written"
        lines = [f"{self.folder}: {stood}; every check of a start passed"]
        lines += [
            f"  takes {tensor.name} {tensor.dtype} of {', '.join(tensor.columns)}"
            for tensor in manifest.inputs
        ]
        lines += [
            f"  encodes {column} as {_encoded(encoding)}"
            for column, encoding in manifest.encodings.items()
        ]
        lines += [
            f"  gives {output.name} {output.dtype}{f' {list(output.shape)}' if output.shape else ''}"
            for output in manifest.outputs
        ]
        if self.parity is not None:
            lines.append(
                f"  graph and model differ by at most {self.parity.largest:.1e} in "
                f"{self.parity.rows:,} rows (event {self.parity.worst_id})"
            )
        if manifest.score_decimals is not None:
            lines.append(f"  floats are rounded to {manifest.score_decimals} decimals")
        if self.without_answer:
            there = "a fallback serves there" if self.has_fallback else _NO_FALLBACK
            lines.append(f"  no finite output for {', '.join(self.without_answer)}: {there}")
        lines.append(f"  {self.golden_events} golden events")
        lines += [f"    not reached: {what}" for what in self.unreached]
        if self.unreached:
            lines.append("    a change there would go unnoticed: train with a log that reaches it")
        before = self.served.metrics if self.served else {}
        names = {**manifest.metrics, **before}
        if names:
            told = "  metrics"
            if self.served is not None:
                told += f" (in brackets those of {self.served.version}, which is served)"
            lines.append(f"{told}: " + ", ".join(self._metric(name, before) for name in names))
        if not self.is_served:
            lines.append(
                f'  nothing serves it yet: let the use case name it, champion="{self.name}" or in '
                "fallbacks"
            )
        return "\n".join(lines)

    def _metric(self, name: str, before: Mapping[str, float]) -> str:
        value = self.manifest.metrics.get(name)
        now = "-" if value is None else f"{value:g}"
        return f"{name} {now}" + (f" ({before[name]:g})" if name in before else "")


def _encoded(encoding: Ordinal | OneHot) -> str:
    if isinstance(encoding, OneHot):
        return f"one-hot of {len(encoding.values)} texts"
    return f"a number for each of {len(encoding.codes)} texts"
