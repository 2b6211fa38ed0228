"""Which covariates the events carry, and the hazard ratio adjusted for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.analyses.mortality.carried import (
    adjusted_for_what_is_carried,
    carried_covariates,
    coefficients,
)
from longsurv.models import CoxPH

SEPSIS = Path(__file__).parents[3] / "examples/ivig_sepsis/study.toml"
NAMES = ["apache2", "age", "sex", "infection"]


@pytest.fixture(scope="module")
def sepsis() -> pd.DataFrame:
    return ls.read_cohort(SEPSIS).survival_data()


@pytest.mark.parametrize(
    ("events", "carried"),
    [(4, 0), (5, 1), (9, 1), (10, 2), (15, 3), (34, 3), (35, 4), (500, 4)],
)
def test_a_coefficient_for_every_five_events_in_the_order_named(sepsis, events, carried) -> None:
    chosen, left = carried_covariates(sepsis, NAMES, events)
    assert (chosen, left) == (tuple(NAMES[:carried]), tuple(NAMES[carried:]))


def test_the_first_that_is_too_many_ends_the_list(sepsis) -> None:
    chosen, left = carried_covariates(sepsis, ["infection", "age"], 5)
    assert (chosen, left) == ((), ("infection", "age"))
    assert coefficients(sepsis["infection"]) == 4
    assert coefficients(pd.Series([True, False])) == 1


def test_the_sepsis_study_adjusted_for_severity(sepsis) -> None:
    found = adjusted_for_what_is_carried(sepsis, "treatment", NAMES, draws=200)
    assert found.covariates == ("apache2",) and found.left_out == ("age", "sex", "infection")
    assert (found.events, found.patients) == (5, 41)
    table = found.table.set_index("engine")
    spec = CoxPH("Surv(entry, exit, event) ~ treatment + apache2", data=sepsis)
    for engine, fit in (("ml", spec.fit()), ("firth", spec.fit(penalty="firth"))):
        expected = np.exp(fit.params["treatment[T.ivig]"])
        assert table.loc[engine, "estimate"] == pytest.approx(expected, rel=1e-6)
    assert table.loc["ml", "estimate"] == pytest.approx(0.2023, abs=1e-4)  # coxph of R


@pytest.mark.parametrize(
    ("rows", "names", "why"),
    [
        (slice(None), [], "names no covariates"),
        (slice(None), ["infection"], "infection has 4 coefficients"),
        (slice(0, 12), ["age"], "carry no covariate beside the treatment"),
    ],
)
def test_why_nothing_is_adjusted_for(sepsis, rows, names, why) -> None:
    found = adjusted_for_what_is_carried(sepsis.iloc[rows], "treatment", names)
    assert found.table.empty and why in found.reason


def test_patients_without_a_value_are_left_out_and_counted(sepsis) -> None:
    gaps = sepsis.assign(apache2=sepsis["apache2"].where(sepsis.index > 2))
    found = adjusted_for_what_is_carried(gaps, "treatment", NAMES, draws=100)
    assert found.patients == 38
