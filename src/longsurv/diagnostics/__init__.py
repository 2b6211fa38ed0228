"""Can the answer be trusted? Verdicts in words, with the numbers behind them.

Every fit
    Verdict            whether to trust an answer, in words, with numbers

Models of one table
    linearity          tests of straight lines against a bend

Mixed models
    influence          what each patient does to a mixed model

Cox models
    cox_zph            tests of proportional hazards
    concordance        concordance of a prediction with survival

Joint models
    marker_residuals   residuals of every measurement
    event_residuals    martingale and Cox-Snell residuals of every patient
    predictive_checks  data replicated from the posterior against the data
    joint_influence    a joint model refitted without each patient
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longsurv.lazy import lazily

if TYPE_CHECKING:
    from longsurv.diagnostics.concordance import concordance
    from longsurv.diagnostics.convergence import Verdict
    from longsurv.diagnostics.influence import influence
    from longsurv.diagnostics.joint_checks import event_residuals, marker_residuals
    from longsurv.diagnostics.joint_influence import joint_influence
    from longsurv.diagnostics.joint_replicates import predictive_checks
    from longsurv.diagnostics.linearity import linearity
    from longsurv.diagnostics.proportional_hazards import cox_zph

__all__ = [
    "Verdict",
    "concordance",
    "cox_zph",
    "event_residuals",
    "influence",
    "joint_influence",
    "linearity",
    "marker_residuals",
    "predictive_checks",
]

_MODULES = {
    "concordance": ("concordance",),
    "convergence": ("Verdict",),
    "influence": ("influence",),
    "joint_checks": ("event_residuals", "marker_residuals"),
    "joint_influence": ("joint_influence",),
    "joint_replicates": ("predictive_checks",),
    "linearity": ("linearity",),
    "proportional_hazards": ("cox_zph",),
}
"""The public names of each module."""

lazily(__name__, {n: f"{__name__}.{m}:{n}" for m, names in _MODULES.items() for n in names})
