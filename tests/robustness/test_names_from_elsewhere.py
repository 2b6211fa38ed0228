"""What people write who come from R or from another package: it works, or says what to write."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from robustness.public_calls import fit, people, specs

from longsurv.analyses import Mortality
from longsurv.errors import LongsurvError
from longsurv.models import (
    GLMM,
    LMM,
    CoxPH,
    Hazard,
    JointModel,
    Linear,
)


def visits(**more: object) -> pd.DataFrame:
    rows = specs()["LMM"].data
    return rows.assign(age=np.linspace(40, 80, len(rows)), **more)


def lmm(right: str, data: pd.DataFrame | None = None) -> LMM:
    return LMM(f"y ~ {right} + (1 | id)", visits() if data is None else data)


def surviving() -> pd.DataFrame:
    data = specs()["CoxPH"].data
    return data.assign(age=np.linspace(40, 80, len(data)), site=np.arange(len(data)) % 4)


def cox(right: str) -> CoxPH:
    return CoxPH(f"Surv(days, died) ~ {right}", surviving())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: specs()["LMM"].fit(REML=False), 'write method="REML" or method="ML"'),
        (lambda: specs()["LMM"].fit(reml=False), 'write method="REML" or method="ML"'),
        (lambda: specs()["LMM"].sample(random_seed=3), "write seed="),
        (lambda: lmm("frailty(id)").fit(), r"(1 | site)"),
        (lambda: lmm("frailty(id)").fit(), "cluster(site)"),
        (lambda: lmm("I(age^2)").fit(), "**"),
        (lambda: fit("LMM").means(["arm"], at={"arm": [0, 1]}).contrast("arm", adjust="x"), "holm"),
        (lambda: specs()["LMM"].sample(draws=0), "draws is a whole number, 1 or more, not 0"),
        (lambda: fit("LMM").means(["arm"], at={"arm": ["xx"]}), "xx"),
        (lambda: lmm("when", visits(when=pd.Timestamp("2020-01-01"))).fit(), "'when'"),
        (lambda: lmm("when", visits(when=pd.Period("2020-01", "M"))).fit(), "'when'"),
        (lambda: lmm("t + s(age)").fit(), "ns(x, df=4)"),
        (lambda: lmm("t + mean(age)").fit(), "center(x)"),
        # An offset of measurements stands left of '~', and of a GLMM it is a term.
        (lambda: lmm("t + offset(age)").fit(), "y - z ~ x"),
        (lambda: Linear("age ~ arm + offset(days)", surviving(), "id").fit(), "y - z ~ x"),
        (lambda: GLMM("positive ~ t + log(offset(age)) + (1 | id)", visits()).fit(), "of its own"),
        (lambda: joint_with_offset().fit(), "offset()"),
    ],
)
def test_it_says_what_to_write(call, words):
    with pytest.raises(LongsurvError) as caught:
        call()
    assert words in str(caught.value)


def joint_with_offset() -> JointModel:
    return JointModel(specs()["JointModel"].marker, cox("arm + offset(age)"), time="t")


WORKS = ("sqrt(age)", "log1p(age)", "log10(age)", "exp(age / 100)", "abs(age - 60)",
         "factor(age > 60)", "ns(age, df=2)", "rcs(age, 3)", "I(age**2)")  # fmt: skip
MODELS = {
    "LMM": lmm,
    "Linear": lambda right: Linear(f"days ~ {right}", surviving(), "id"),
    "GLMM": lambda right: GLMM(f"positive ~ {right} + (1 | id)", visits()),
    "CoxPH": cox,
    "Hazard": lambda right: Hazard(f"Surv(days, died) ~ {right}", surviving(), "weibull"),
    "Mortality": lambda right: Mortality(people(), "arm", 14.0, adjust=right).cox_adjusted,
}


@pytest.mark.parametrize("model", MODELS)
def test_functions_of_r_work_in_every_formula(model):
    for right in WORKS:
        fixed = MODELS[model](right).design.fixed
        assert len(fixed.names) + len(fixed.aliased) >= 1, right


def test_an_offset_left_of_the_formula_is_that_of_r():
    """lm(y ~ x, offset = z) fits y - z: so does a response that says it."""
    data = surviving().assign(z=lambda d: 0.3 * d["age"])
    found = Linear("days - z ~ arm", data, "id").fit()
    X = np.column_stack([np.ones(len(data)), data["arm"]])
    dense = np.linalg.lstsq(X, data["days"] - data["z"], rcond=None)[0]
    np.testing.assert_allclose(found.coefficients, dense, rtol=1e-10)
