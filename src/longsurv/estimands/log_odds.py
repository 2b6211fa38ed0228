"""The posterior of a log odds ratio by normal approximation, under named priors.

The likelihood of the log odds ratio is taken as normal around its estimate with Woolf's standard
error, sqrt(1/a + 1/b + 1/c + 1/d), as meta-analyses do. No continuity correction, unless a cell is
zero: then 1/2 is added to all four (Haldane, Anscombe). With few events the approximation is crude;
`BetaBinomial` is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from scipy import special

from longsurv import priors as pr
from longsurv.arguments import check_methods, checked
from longsurv.estimands.counts import Counts

LOW_RISK_OF_BIAS = pr.Normal(
    (math.log(0.81) + math.log(1.15)) / 2,
    (math.log(1.15) - math.log(0.81)) / (2 * float(special.ndtri(0.975))),
)
"""Polyclonal immunoglobulin in adults with sepsis, the 5 trials at low risk of bias.

From the interval 0.81 to 1.15 of Cochrane review CD001090 (Alejandria and others 2013), centred in
it on the log scale (0.965; the review's own estimate is 0.97). It is of a risk ratio, which lies
nearer to 1 than the odds ratio it stands in for.
"""

PRIORS: Mapping[str, pr.Normal] = {
    **pr.TREATMENT,
    "trials at low risk of bias": LOW_RISK_OF_BIAS,
}
"""Named priors of a treatment's log odds ratio."""


@check_methods
@dataclass(frozen=True)
class LogOddsRatio:
    """An estimate of the log odds ratio with Woolf's standard error.

    Attributes
    ----------
    estimate, std_error : float
    corrected : bool
        1/2 was added to every cell because one was zero.
    """

    estimate: float
    std_error: float
    corrected: bool

    @classmethod
    def of(cls, counts: Counts) -> LogOddsRatio:
        """Estimate it from a two-by-two table.

        Parameters
        ----------
        counts : Counts

        Returns
        -------
        LogOddsRatio

        References
        ----------
        Woolf B. On estimating the relation between blood group and disease. Ann Hum Genet
        1955;19:251-253. Haldane JBS. The estimation and significance of the logarithm of a ratio
        of frequencies. Ann Hum Genet 1956;20:309-311.
        """
        cells = [float(cell) for row in counts.table for cell in row]
        corrected = 0.0 in cells
        a, b, c, d = (cell + 0.5 * corrected for cell in cells)
        error = math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
        return cls(math.log(a * d / (b * c)), error, corrected)

    def posterior(self, prior: pr.Normal) -> pr.Normal:
        """Combine with a normal prior of the log odds ratio.

        Parameters
        ----------
        prior : Normal

        Returns
        -------
        Normal
        """
        data, before = 1 / self.std_error**2, 1 / prior.sd**2
        mean = (data * self.estimate + before * prior.mean) / (data + before)
        return pr.Normal(mean, 1 / math.sqrt(data + before))


@checked
def odds_ratio_posteriors(
    counts: Counts, priors: Mapping[str, pr.Normal] = PRIORS, *, level: float = 0.95
) -> pd.DataFrame:
    """Return the posterior of the odds ratio under each prior.

    Parameters
    ----------
    counts : Counts
    priors : mapping of str to Normal
        Of the log odds ratio, by name.
    level : float
        Of the equal-tailed intervals.

    Returns
    -------
    DataFrame
        A row a prior: prior, prior_mean, prior_sd (log scale), estimate (median of the odds ratio),
        conf_low, conf_high, prob_benefit (that it is below 1), prior_prob_benefit (before the
        data), prior_share (of the posterior's precision that is the prior's, between 0 and 1).
    """
    observed = LogOddsRatio.of(counts)
    z = float(special.ndtri((1 + level) / 2))
    rows = []
    for name, prior in priors.items():
        post = observed.posterior(prior)
        rows.append(
            {
                "prior": name,
                "prior_mean": prior.mean,
                "prior_sd": prior.sd,
                "estimate": math.exp(post.mean),
                "conf_low": math.exp(post.mean - z * post.sd),
                "conf_high": math.exp(post.mean + z * post.sd),
                "prob_benefit": float(special.ndtr(-post.mean / post.sd)),
                "prior_prob_benefit": float(special.ndtr(-prior.mean / prior.sd)),
                "prior_share": (post.sd / prior.sd) ** 2,
            }
        )
    return pd.DataFrame(rows)
