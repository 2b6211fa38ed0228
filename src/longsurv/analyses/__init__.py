"""Questions asked of a cohort, each answered by fitting several models.

mortality/  who died, by treatment: every method and every prior side by side
imputation/ missing visits and covariates, imputed; answers pooled
markers/    many markers at once; change from baseline, adjusted in several ways;
            markers that deaths cut short
"""

from longsurv.analyses.imputation.covariates import CovariateImputation
from longsurv.analyses.markers.adjustment import BaselineAdjustment, adjusted_changes
from longsurv.analyses.markers.death import DeathInMarkers
from longsurv.analyses.markers.panel import Panel
from longsurv.analyses.mortality.history import HistoricalPrior, commensurate_prior, power_prior
from longsurv.analyses.mortality.mortality import Mortality
from longsurv.analyses.mortality.target_answer import TargetTrialAnswer
from longsurv.analyses.mortality.target_trial import TargetTrial
from longsurv.arguments import checked

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

for _spec in (Panel, BaselineAdjustment, DeathInMarkers, Mortality):
    checked(_spec)
