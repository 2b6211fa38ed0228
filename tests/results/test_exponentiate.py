"""Ratios from tidy tables of logarithms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import LongsurvError
from longsurv.models import GLMM, LMM, CoxPH, FineGray, Hazard, JointModel

LIMITS = ["estimate", "conf_low", "conf_high"]


def times_logs(answer, base: float = 1.0, level: float = 0.9, **how) -> pd.DataFrame:
    """The table of ratios, which is the exponential of the other where it is not the same."""
    plain = answer.tidy(level, **{k: v for k, v in how.items() if k == "component"})
    found = answer.tidy(level, exponentiate=how.pop("exponentiate", True), **how)
    np.testing.assert_allclose(found[LIMITS], np.exp(base * plain[LIMITS]), rtol=1e-14)
    pd.testing.assert_frame_equal(found.drop(columns=LIMITS), plain.drop(columns=LIMITS))
    assert found.attrs == plain.attrs
    return found


@pytest.fixture(scope="module")
def event(table):
    return table("rossi")


def test_hazard_ratios(fits, event):
    for answer in (
        fits("rossi_two_efron"),
        CoxPH("Surv(week, arrest) ~ fin", event).fit("firth"),
        Hazard("Surv(week, arrest) ~ fin", event, baseline="weibull").fit(),
        CoxPH("Surv(week, arrest) ~ fin", event).sample(chains=2, draws=50, seed=1),
    ):
        ours, named = times_logs(answer), answer.hazard_ratios(0.9)
        np.testing.assert_array_equal(
            ours[LIMITS], named[["hazard_ratio", "conf_low", "conf_high"]]
        )
    cohort = event.assign(state=event["arrest"] * (1 + event["age"] % 2))
    answer = FineGray("Surv(week, state) ~ fin", cohort).fit()
    ratios = answer.hazard_ratios(0.9)["hazard_ratio"].tolist()
    assert times_logs(answer)["estimate"].tolist() == ratios


def test_odds_and_rates(table):
    counts = table("episodes")
    rates = "units ~ treated + offset(log(days)) + (1 | patient)"
    times_logs(GLMM(rates, counts, family="poisson").fit())
    wine = table("wine").assign(bitter=lambda d: (d["rating"] > 3) * 1)
    times_logs(GLMM("bitter ~ temp + (1 | judge)", wine).fit())
    times_logs(GLMM("rating ~ temp + (1 | judge)", wine, family="ordinal").fit())


@pytest.mark.parametrize(
    ("log", "base"), [("log", 1.0), ("log2", np.log(2)), ("log10", np.log(10))]
)
def test_ratios_of_geometric_means(table, log, base):
    data = table("orthodont")
    of = LMM(f"{log}(distance) ~ Sex + (1 | Subject)", data).fit()
    times_logs(of, base)
    data = data.assign(y=getattr(np, log)(data["distance"]))
    plain = LMM("y ~ Sex + (1 | Subject)", data).fit()
    found = times_logs(plain, base, exponentiate=log)
    np.testing.assert_allclose(found[LIMITS], of.tidy(0.9, exponentiate=True)[LIMITS], rtol=1e-9)
    with pytest.raises(LongsurvError, match="name it: 'log'"):
        plain.tidy(exponentiate=True)


def test_what_is_no_logarithm_is_refused(fits, event, table):
    with pytest.raises(LongsurvError, match="needs a response on a log scale"):
        fits("sleepstudy").tidy(exponentiate=True)
    with pytest.raises(LongsurvError, match="exponentiate= is for coefficients"):
        fits("pbc").tidy(component="all", exponentiate=True)
    with pytest.raises(LongsurvError, match="exponentiate"):
        fits("pbc").tidy(exponentiate="ln")


def test_of_a_joint_model_the_event_only(table):
    visits = table("pbc").query("id <= 60")
    people = visits.drop_duplicates("id").assign(died=lambda d: d["status"] == "dead")
    growth = LMM("log(bili) ~ year + (1 | id)", visits)
    death = CoxPH("Surv(years, died) ~ drug", people)
    joint = JointModel(growth, death, time="year", baseline="weibull").fit()
    times_logs(joint, component="event")
    with pytest.raises(LongsurvError, match="on different scales"):
        joint.tidy(exponentiate=True)
