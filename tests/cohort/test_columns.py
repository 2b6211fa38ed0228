"""Columns one at a time: which levels are there, and which are only named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.cohort.columns import encode


@pytest.mark.parametrize("unused", ["first", "between", "last"])
def test_a_level_that_no_row_has_is_no_level(unused: str) -> None:
    order = {"first": ["x", "b", "a"], "between": ["b", "x", "a"], "last": ["b", "a", "x"]}[unused]
    codes, levels = encode(pd.Series(pd.Categorical(["a", "b", None, "a"], order)))
    assert levels == ["b", "a"]
    np.testing.assert_array_equal(codes, [1, 0, -1, 1])


def test_levels_that_differ_by_blanks_are_one_and_a_blank_is_none() -> None:
    column = pd.Series(["b ", "a", " ", "b", None])
    for given in (column, column.astype("category")):
        codes, levels = encode(given)
        assert set(levels) == {"a", "b"}
        assert [levels[k] if k >= 0 else None for k in codes] == ["b", "a", None, "b", None]
