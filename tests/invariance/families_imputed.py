"""Imputed values of a marker: each at its mean given what was seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
from invariance.case import Answer, Case, Family, Output
from invariance.families_mixed import PATIENT, SHORT, mixed_case, mixed_spec

import longsurv as ls
from longsurv.models import GLMM


def imputed_case(seed: int) -> Case:
    """A fifth of the patients have no last visit, and some of those no third one."""
    case = mixed_case(seed, right=SHORT, special=PATIENT, without=("site", "stage"))
    rows = case["rows"].copy()
    gone = rows["id"] % 5 == 0
    rows.loc[gone & (rows["nr"] == 3), "crp"] = np.nan
    rows.loc[gone & (rows["id"] % 2 == 0) & (rows["nr"] == 2), "crp"] = np.nan
    return Case({"rows": rows}, case.columns, case.formulas)


def limited_case(seed: int) -> Case:
    """The same with an eighth of the values below a limit of detection."""
    case = imputed_case(seed)
    rows, y = case["rows"].copy(), case["rows"]["crp"]
    rows["limit"] = np.where(y < 1.5, "left", "none")
    rows["crp"] = y.clip(lower=1.5)
    return Case({"rows": rows}, case.columns | {"limit": "limit"}, case.formulas)


def imputed_means(case: Case) -> pd.DataFrame:
    """Means of the completed last visit by group."""
    names = case.columns
    spec = mixed_spec(case)
    if "limit" in names:
        spec = GLMM(spec.formula, case["rows"], "censored", censored=names["limit"], nodes=15)
    imputation = ls.Imputation(spec, n=2, visit=names["visit"], treatment=names["arm"])
    done = imputation.expected()
    last = done[done[names["visit"]] == done[names["visit"]].max()]
    return (
        last.groupby(names["arm"], observed=True)[names["response"]]
        .mean()
        .reset_index(name="estimate")
    )


def imputed_answer(case: Case) -> Answer:
    table = imputed_means(case)
    found = {
        f"mean in {case.group(arm)}": Output(float(mean), 1, origin="response", atol=2e-5)
        for arm, mean in table.itertuples(index=False)
    }
    return found | {"difference": _difference(case, table)}


def _difference(case: Case, table: pd.DataFrame) -> Output:
    means = table.set_index(case.columns["arm"])["estimate"]
    gap = float(means[case.order[1]] - means[case.order[0]])
    return Output(gap, 1, swaps="difference", atol=2e-5)


IMPUTED = (
    Family("Imputation", imputed_case, imputed_answer, ("Imputation",)),
    Family("Imputation, censored", limited_case, imputed_answer, ("Imputation",)),
)
