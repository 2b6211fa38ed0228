"""Questions asked of a cohort, each answered by fitting several models.

mortality/  who died, by treatment: every method and every prior side by side
imputation/ missing visits and covariates, imputed; answers pooled
markers/    many markers at once; change from baseline, adjusted in several ways;
            markers that deaths cut short
"""

from typing import TYPE_CHECKING

from longsurv.lazy import lazily

if TYPE_CHECKING:
    from longsurv.analyses.imputation.covariates import CovariateImputation
    from longsurv.analyses.markers.adjustment import BaselineAdjustment, adjusted_changes
    from longsurv.analyses.markers.death import DeathInMarkers
    from longsurv.analyses.markers.panel import Panel
    from longsurv.analyses.mortality.history import HistoricalPrior, commensurate_prior, power_prior
    from longsurv.analyses.mortality.mortality import Mortality
    from longsurv.analyses.mortality.target_answer import TargetTrialAnswer
    from longsurv.analyses.mortality.target_trial import TargetTrial

__all__ = [
    "BaselineAdjustment",
    "CovariateImputation",
    "DeathInMarkers",
    "HistoricalPrior",
    "Mortality",
    "Panel",
    "TargetTrial",
    "TargetTrialAnswer",
    "adjusted_changes",
    "commensurate_prior",
    "power_prior",
]

_HOMES = {
    "BaselineAdjustment": "longsurv.analyses.markers.adjustment:BaselineAdjustment",
    "CovariateImputation": "longsurv.analyses.imputation.covariates:CovariateImputation",
    "DeathInMarkers": "longsurv.analyses.markers.death:DeathInMarkers",
    "HistoricalPrior": "longsurv.analyses.mortality.history:HistoricalPrior",
    "Mortality": "longsurv.analyses.mortality.mortality:Mortality",
    "Panel": "longsurv.analyses.markers.panel:Panel",
    "TargetTrial": "longsurv.analyses.mortality.target_trial:TargetTrial",
    "TargetTrialAnswer": "longsurv.analyses.mortality.target_answer:TargetTrialAnswer",
    "adjusted_changes": "longsurv.analyses.markers.adjustment:adjusted_changes",
    "commensurate_prior": "longsurv.analyses.mortality.history:commensurate_prior",
    "power_prior": "longsurv.analyses.mortality.history:power_prior",
}
lazily(__name__, _HOMES)
