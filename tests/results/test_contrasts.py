"""How combinations of coefficients are asked for and named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.errors import LongsurvError
from longsurv.results.contrasts import contrast_matrix, label, position

NAMES = ("Intercept", "year", "drug[T.b]", "year:drug[T.b]")


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.floats(-5, 5), min_size=1))
def test_mapping_and_array_agree(weights):
    L, labels = contrast_matrix(weights, NAMES)
    again, same = contrast_matrix(L, NAMES)
    np.testing.assert_array_equal(L, again)
    assert labels == same
    for name, column in zip(NAMES, L[0], strict=True):
        assert column == weights.get(name, 0.0)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ([0, 1, 0, 0], "year"),
        ([0, -1, 0, 0], "-year"),
        ([0, 1, 0, 1], "year + year:drug[T.b]"),
        ([0, 1, -1, 0], "year - drug[T.b]"),
        ([0, -1, -1, 0], "-year - drug[T.b]"),
        ([1, -2.5, 0, 0], "Intercept - 2.5*year"),
        ([0, 0, 0, 0], "0"),
    ],
)
def test_label(row, text):
    assert label(np.array(row, dtype=float), NAMES) == text


def test_frame():
    asked = pd.DataFrame({"year": [1.0, 0.0], "drug[T.b]": [0.0, 2.0]}, index=["a", "b"])
    L, labels = contrast_matrix(asked, NAMES)
    np.testing.assert_array_equal(L, [[0, 1, 0, 0], [0, 0, 2, 0]])
    assert labels == ["a", "b"]


def test_position():
    assert position("drug[T.b]", NAMES) == 2
    with pytest.raises(
        LongsurvError, match=r"no coefficient 'drug'; it has .*Did you mean 'drug\[T.b\]'"
    ):
        position("drug", NAMES)
    with pytest.raises(LongsurvError) as caught:
        position("zzz", NAMES)
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("bad", [[1.0], np.zeros((2, 3)), np.zeros((1, 1, 4)), 3.0])
def test_wrong_shapes(bad):
    with pytest.raises(LongsurvError, match="needs 4 weights"):
        contrast_matrix(bad, NAMES)


@pytest.mark.parametrize("bad", [[np.nan, 0, 0, 0], {"year": np.inf}])
def test_weights_are_finite(bad):
    with pytest.raises(LongsurvError, match="finite"):
        contrast_matrix(bad, NAMES)
