"""A user's own functions work in every formula: the answer is that of the same arithmetic."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from invariance.families_cohort import change_of, cohort_case, cohort_of
from invariance.families_groups import weighted_case
from invariance.families_survival import joint_case

from longsurv.analyses import BaselineAdjustment, Mortality, Panel, adjusted_changes
from longsurv.errors import FormulaError
from longsurv.estimands.weighting import overlap_weights
from longsurv.models import GLMM, LMM, CoxPH, JointModel


def tenths(x):
    return x / 10.0


OWN, PLAIN = "tenths(age)", "I(age / 10)"
FUNCTIONS = {"tenths": tenths}


def values(table: pd.DataFrame) -> np.ndarray:
    return table[["estimate", "conf_low", "conf_high"]].to_numpy(dtype=float)


def test_in_a_panel():
    case = cohort_case(1)
    cohort, change = cohort_of(case), change_of(case)
    right = "phase * arm + {} + (1 | id)"
    own = Panel.from_cohort(cohort, right.format(OWN), change, functions=FUNCTIONS)
    plain = Panel.from_cohort(cohort, right.format(PLAIN), change)
    np.testing.assert_allclose(values(own.fit().tidy()), values(plain.fit().tidy()), rtol=1e-8)
    with pytest.raises(FormulaError, match="Hand in another as functions="):
        Panel.from_cohort(cohort, right.format(OWN), change)


def test_in_adjustments():
    case = cohort_case(1)
    cohort, change = cohort_of(case), change_of(case)
    how = {"trajectory": "phase * arm + {} + (1 | id)", "covariates": "{} + baseline"}
    own, plain = ({k: v.format(of) for k, v in how.items()} for of in (OWN, PLAIN))
    one = BaselineAdjustment(cohort, "crp", change, **own, functions=FUNCTIONS).fit()
    other = BaselineAdjustment(cohort, "crp", change, **plain).fit()
    assert one.tidy()["estimate"].notna().all()
    np.testing.assert_allclose(values(one.tidy()), values(other.tidy()), rtol=1e-8)
    all_of_it = adjusted_changes(
        cohort, change, ["crp"], **own, functions=FUNCTIONS, engines=["ml"]
    )
    np.testing.assert_allclose(values(all_of_it.tidy()), values(other.tidy()), rtol=1e-8)


def test_in_mortality():
    cohort = cohort_of(cohort_case(1))
    own = Mortality(cohort, horizon=25.0, adjust=OWN, functions=FUNCTIONS)
    plain = Mortality(cohort, horizon=25.0, adjust=PLAIN)
    np.testing.assert_allclose(
        own.cox_adjusted.fit().coefficients, plain.cox_adjusted.fit().coefficients, rtol=1e-8
    )


def test_in_overlap_weights():
    rows = weighted_case(1)["rows"]
    own = overlap_weights(rows, "arm", OWN, functions=FUNCTIONS)
    plain = overlap_weights(rows, "arm", PLAIN)
    np.testing.assert_allclose(own.propensity.probability, plain.propensity.probability, rtol=1e-8)


@pytest.mark.parametrize("family", ["LMM", "censored"])
def test_in_a_joint_model_through_its_parts_and_predictions(family):
    case = joint_case(1)
    rows, people = case["rows"], case["people"]
    names = case.columns
    age = people.set_index(names["patient"])["age"]
    rows = rows.assign(age=rows[names["patient"]].map(age), limit="none")
    y, t, who = names["response"], names["time"], names["patient"]

    def joint(of: str, functions: dict | None) -> JointModel:
        right = f"{y} ~ {t} + {of} + (1 | {who})"
        if family == "LMM":
            marker = LMM(right, rows, functions=functions)
        else:
            marker = GLMM(right, rows, "censored", censored="limit", functions=functions)
        event = CoxPH(f"Surv({names['exit']}, {names['event']}) ~ {of}", people,
                      functions=functions)  # fmt: skip
        return JointModel(marker, event, time=t, baseline="weibull")

    own, plain = joint(OWN, FUNCTIONS).fit(), joint(PLAIN, None).fit()
    np.testing.assert_allclose(own.coefficients, plain.coefficients, rtol=1e-4, atol=1e-6)
    last = float(people[names["exit"]].quantile(0.4))
    alive = people[people[names["exit"]] > last][who].iloc[:2]
    new = rows[rows[who].isin(alive) & (rows[t] <= last)].merge(
        people.drop(columns=[c for c in people if c in rows and c != who]), on=who
    )
    ahead = {"at": last, "times": [last * 1.5], "draws": 20}
    np.testing.assert_allclose(
        own.predict_survival(new, **ahead)["estimate"],
        plain.predict_survival(new, **ahead)["estimate"],
        rtol=1e-3,
    )
