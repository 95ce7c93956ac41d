"""What of a use case's answer a version's golden events and vectors leave untested."""

from __future__ import annotations

from stream_app.features.answer import PerBatch
from stream_app.features.model_version.folder import VersionFolder
from stream_app.features.usecase import UseCase
from stream_app.models.answer_checks import check_answers
from stream_app.models.model import Model
from stream_app.training.reach import Watch, branches_of

__all__ = ["unreached_in_answer"]


def unreached_in_answer(usecase: UseCase, model: Model, version: VersionFolder) -> tuple[str, ...]:
    """Branches of the answer that no check of a start runs through, in words.

    Raises `ModelRefusedError` where the answer does not keep its contract.
    """
    answer = usecase.answer
    if answer is None:
        return ()
    wanted = branches_of([answer.function if isinstance(answer, PerBatch) else answer])
    watch = Watch(wanted)
    with watch:
        check_answers(model, usecase, version)
    missed = sorted(wanted - watch.reached, key=lambda b: (b.code.co_filename, str(b)))
    return tuple(map(str, missed))
