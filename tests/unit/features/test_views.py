"""A declaration that cannot work is refused where it is written."""

import pytest

from stream_app.features.views import Derived, FeatureSet, RowFeature


@pytest.mark.parametrize("name", ["mean amount", "1h", "class", "__x"])
def test_a_name_that_no_attribute_has_is_refused_beside_derived_columns(name: str) -> None:
    """They name columns as attributes; without them any name will do."""
    row = RowFeature(name, lambda event: 1.0, "", "")
    assert FeatureSet(row_features=(row,)).columns == (name,)
    with pytest.raises(ValueError, match=f"column {name} cannot be named by a derived column"):
        FeatureSet(row_features=(row,), derived=(Derived("z", lambda e, f: 1.0, "", ""),))
