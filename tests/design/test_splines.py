"""Natural and restricted cubic splines: the columns and knots of R."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longsurv.design.fixed import fixed_design
from longsurv.design.splines import harrell_knots
from longsurv.errors import FormulaError

R = pd.read_csv(Path(__file__).parents[1] / "reference" / "splines.csv")


def reference(basis: str) -> np.ndarray:
    rows = R[R["basis"] == basis]
    return rows.pivot(index="x", columns="column", values="value").to_numpy()


def data(name: str) -> np.ndarray:
    return R.loc[R["basis"] == f"data_{name}", "value"].to_numpy()


NEW = np.array([-5.0, 0.0, 10.0, 33.3, 60.0, 75.0, 120.0])


@pytest.mark.parametrize("values", ["x", "z"])
@pytest.mark.parametrize(
    ("formula", "basis"),
    [
        ("ns(v, df=4)", "ns4"),
        ("ns(v, df=3, intercept=True)", "ns3i"),
        ("ns(v, knots=[5, 10], Boundary_knots=[1, 40])", "nsk"),
        ("ns(v)", "ns1"),
        ("rcs(v, 3)", "rcs3"),
        ("rcs(v, 4)", "rcs4"),
        ("rcs(v)", "rcs5"),
        ("rcs(v, knots=7)", "rcs7"),
    ],
)
def test_columns_of_r_within_and_beyond_the_data(values, formula, basis):
    design, _ = fixed_design(f"0 + {formula}", pd.DataFrame({"v": data(values)}))
    found = design.rebuild(pd.DataFrame({"v": NEW}))
    assert found.shape[1] == reference(f"{basis}_{values}").shape[1]
    np.testing.assert_allclose(found, reference(f"{basis}_{values}"), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("values", ["x", "z", "big"])
@pytest.mark.parametrize("count", [3, 4, 5, 6, 7])
def test_harrells_knots(values, count):
    expected = np.sort(R.loc[R["basis"] == f"knots{count}_{values}", "value"])
    np.testing.assert_allclose(harrell_knots(data(values), count), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("ns(v, df=0)", "whole number"),
        ("ns(v, knots=[3, 3])", "not distinct"),
        ("rcs(v, 2)", "three knots"),
        ("rcs(drug)", "text"),
        ("ns(v, df=10**9)", "at most"),
        ("rcs(one)", "needs more than 1 values"),
    ],
)
def test_splines_that_cannot_be(formula, message):
    frame = pd.DataFrame({"v": data("x"), "drug": "a", "one": 1.0})
    with pytest.raises(FormulaError, match=message):
        fixed_design(formula, frame)
