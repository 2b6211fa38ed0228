"""Prior distributions of a model's parameters, and the named sets for treatment effects."""

from __future__ import annotations

from longsurv.priors.choice import centred_basis as centred_basis
from longsurv.priors.choice import choose, prior_of
from longsurv.priors.density import log_densities as log_densities
from longsurv.priors.density import log_density
from longsurv.priors.evidence import TrialsPrior, from_trials
from longsurv.priors.families import (
    LKJ,
    Cauchy,
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    Laplace,
    Normal,
    StudentT,
)
from longsurv.priors.mixture import Mixture, as_normal, local_information
from longsurv.priors.named import TREATMENT
from longsurv.priors.prior import MOSTLY_PRIOR, Prior, distribution, moments, quantiles
from longsurv.priors.published import from_interval
from longsurv.priors.stack import AT_MEANS as AT_MEANS
from longsurv.priors.stack import Alike as Alike
from longsurv.priors.stack import PriorStack, Stack, apart
from longsurv.priors.trials import effective_events, mixture_of

__all__ = [
    "LKJ",
    "MOSTLY_PRIOR",
    "TREATMENT",
    "Cauchy",
    "Exponential",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "InverseGamma",
    "Laplace",
    "Mixture",
    "Normal",
    "Prior",
    "PriorStack",
    "Stack",
    "StudentT",
    "TrialsPrior",
    "apart",
    "as_normal",
    "choose",
    "distribution",
    "effective_events",
    "from_interval",
    "from_trials",
    "local_information",
    "log_density",
    "mixture_of",
    "moments",
    "prior_of",
    "quantiles",
]
