"""Which branches of a declaration are reached is measured."""

import sys
from dataclasses import replace
from typing import Any

from stream_app.features.views import Derived, FeatureSet, RowFeature
from stream_app.training.golden_events import golden_events
from stream_app.training.make_matrix import make_matrix
from stream_app.training.reach import Watch, branches
from tests.unit.training.shop import FEATURES, START, Payment, clipped, log, make_usecase, payment


def only(function: Any) -> FeatureSet:
    """A feature set of one function."""
    return FeatureSet(row_features=(RowFeature("x", function, "", ""),), triggers=(Payment,))


def words(features: FeatureSet, *calls: Any) -> list[str]:
    """What is not reached by calls of the first row feature."""
    wanted = branches(features)
    watch = Watch(wanted)
    with watch:
        for each in calls:
            features.row_features[0].compute(each)
    return sorted(map(str, wanted - watch.reached))


def test_a_lambda_has_a_branch_a_value() -> None:
    """Though it is one line: bytecode is watched, not lines."""
    features = only(lambda x: 1 if x > 0 else 2)
    assert len(words(features)) == 3
    (missing,) = words(features, 1)
    assert "test_reach.py, in a lambda" in missing
    assert words(features, 1, -1) == []


def test_both_sides_of_or_are_branches() -> None:
    """The second is not evaluated where the first holds."""
    features = only(lambda x: x > 5 or x < -5)
    assert len(words(features, 6)) == 1
    assert words(features, 6, 0) == []


def test_a_function_that_is_never_called_is_told_so() -> None:
    """By its name and line."""
    (told,) = words(only(lambda x: x))
    assert told.endswith("in a lambda: never called")


def test_functions_that_are_named_are_watched_too() -> None:
    """Those of the author's own package, not the library's."""
    codes = {branch.code for branch in branches(FEATURES)}
    assert clipped.__code__ in codes
    assert not any("stream_app/features" in code.co_filename for code in codes)


def test_a_tracer_that_was_there_is_put_back() -> None:
    """A debugger or a coverage tool goes on."""

    def tracer(frame: Any, event: str, arg: Any) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        with Watch(branches(FEATURES)):
            pass
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


def test_golden_events_reach_what_the_log_reaches() -> None:
    """And what the log does not reach is named."""
    usecase = make_usecase()
    matrix = make_matrix(usecase, list(log(2_000)))
    assert golden_events(usecase, matrix.golden).unreached == ()
    few = make_matrix(usecase, [payment(1, START, amount=5.0)])
    told = golden_events(usecase, few.golden).unreached
    assert "event type Login: no event of it" in told
    assert "view logins: no event updates it" in told
    assert "view spend: no prediction finds a state in it" in told
    assert any(each.endswith("in clipped") for each in told)
    assert any("in a lambda: never called" in each for each in told)


def test_a_branch_that_state_alone_reaches_is_told() -> None:
    """Columns that are functions of an author's own are watched in the state they read."""
    view = FEATURES.views[0]
    column = replace(view.columns[1], name="often", read=lambda v, at: 0.0 if v is None else 1.0)
    features = replace(FEATURES, views=(replace(view, columns=(column,)), *FEATURES.views[1:]))
    usecase = make_usecase(features=features)
    told = golden_events(usecase, make_matrix(usecase, [payment(1, START)]).golden).unreached
    assert any(each.endswith("in a lambda") for each in told)
    both = make_matrix(usecase, [payment(1, START), payment(2, START + 1, amount=2_000.0)])
    assert not any(
        each.endswith("in a lambda") and "test_reach" in each
        for each in golden_events(usecase, both.golden).unreached
    )


def test_golden_events_have_each_column_true_and_false_known_and_missing() -> None:
    """Where the log has them: it is what the branches of an answer ask of a row."""
    dear = Derived("dear", lambda e, f: f.mean_amount > 200.0, "1", "", "bool")
    usecase = make_usecase(features=replace(FEATURES, derived=(dear,)))
    matrix = make_matrix(usecase, list(log(2_000)))
    assert 0 < matrix.columns["dear"].sum() < 100  # rare in the log
    golden = [each.columns for each in golden_events(usecase, matrix.golden).events if each.columns]
    assert {bool(row["dear"]) for row in golden} == {False, True}
    assert {row["failed_share"] is None for row in golden} == {False, True}
