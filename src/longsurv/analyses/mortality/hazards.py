"""Hazard ratios of every cause: of who is still at risk of it, and of its incidence."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from longsurv.analyses.mortality.effect import coefficient, undetermined
from longsurv.design.names import quoted
from longsurv.errors import EstimationError, LongsurvError
from longsurv.models.cox import CoxPH
from longsurv.models.fine_gray import FineGray
from longsurv.words import NO_ANSWER

CAUSE_SPECIFIC, SUBDISTRIBUTION = "cause-specific hazard ratio", "subdistribution hazard ratio"
QUESTIONS: Mapping[str, str] = {
    "risk difference": "How many more or fewer have had this event by the horizon, others having"
    " left by competing events?",
    CAUSE_SPECIFIC: "Does treatment change the rate of this event among those to whom nothing has"
    " happened yet? For what causes it.",
    SUBDISTRIBUTION: "Does treatment move the cumulative incidence up or down, by whichever way:"
    " this event's rate, or a competing one's? For what to expect.",
    "no difference": "Are the cumulative incidences the same up to the end of follow-up (Gray)?",
}
"""Which question a quantity answers."""


def hazard_rows(
    data: pd.DataFrame,
    treatment: str,
    cause: int,
    adjust: str,
    level: float,
    group: Hashable | None = None,
) -> pd.DataFrame:
    """Both hazard ratios of one cause; a model that cannot answer has a row with the reason.

    Parameters
    ----------
    data : DataFrame
        As `Cohort.survival_data()`.
    treatment : str
    cause : int
    adjust : str
        Covariates, a right-hand side, or "".
    level : float
    group : hashable, optional
        Of several arms the one that is compared with the first.

    Returns
    -------
    DataFrame
        quantity, estimate, conf_low, conf_high, p_value, note, answered.
    """
    right = quoted(treatment) + (f" + {adjust}" if adjust else "")
    late = "entry" in data and bool((data["entry"] > data["entry"].min()).any())
    entry = "entry, " if late else ""
    one = data.assign(event=(data["status"] == cause).astype(int))
    cox = CoxPH(f"Surv({entry}exit, event) ~ {right}", data=one)
    gray = FineGray(f"Surv({entry}exit, status) ~ {right}", data=data, cause=cause)
    with_covariates = f"adjusted for {adjust}" if adjust else ""
    rows = []
    for quantity, fit in ((CAUSE_SPECIFIC, cox.fit), (SUBDISTRIBUTION, gray.fit)):
        try:
            term = coefficient(cox, treatment, group)
            nothing = undetermined(cox, term)
            if nothing:
                raise EstimationError(nothing)
            found = fit()
            row = found.tidy(level).set_index("term").loc[term]
            firth = "Firth's, since the groups are separated" if found.penalty else ""
            note = "; ".join(filter(None, (with_covariates, firth)))
            limits = {n: float(np.exp(row[n])) for n in ("estimate", "conf_low", "conf_high")}
            rows.append({"quantity": quantity, **limits, "p_value": row["p_value"], "note": note,
                         "answered": True})  # fmt: skip
        except LongsurvError as error:
            rows.append({"quantity": quantity, "note": f"{NO_ANSWER}: {error}", "answered": False})
    return pd.DataFrame(rows)
