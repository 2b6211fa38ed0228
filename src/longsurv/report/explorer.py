"""What the page's prior explorer needs: posterior draws of each effect, and the prior they had.

The posterior under another normal prior of an effect needs no new fit: draw i gets the weight

    w_i = N(theta_i; centre, sd) / N(theta_i; centre it was drawn under, sd likewise)

(importance sampling; Gelman et al. 2013, Bayesian Data Analysis, section 10.4). It is only as good
as the draws that carry the weight: their number is (sum w)^2 / sum w^2, and below `SMALLEST_ESS`
the page shows no answer. Weights lead from a wide prior to a narrow one, not back. So the draws of
the hazard ratio are those under the widest prior that has a name, which the study has sampled (by
quadrature where the model has one or two coefficients); other effects have theirs under the one
prior that was fitted. `templates/explorer.js` does the same arithmetic as `reweighted`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from longsurv.errors import LongsurvError
from longsurv.estimands.changes import baseline_sd, contrast_weights
from longsurv.priors import TREATMENT, Normal, Stack, prior_of
from longsurv.report.sections.common import change_words
from longsurv.study.deaths import named_priors
from longsurv.study.terms import fixed_of, treatment_terms

if TYPE_CHECKING:
    from longsurv.cohort import Marker
    from longsurv.study import StudyResults

SMALLEST_ESS = 100.0
ROUGH_ESS = 400.0
MOST_DRAWS = 2000
DIGITS = 5
NARROWEST = 0.05
"""Of the fitted standard deviation."""
NO_NAMES: Mapping[str, Normal] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class ExploredEffect:
    """One treatment effect that can be seen under other priors.

    Attributes
    ----------
    label : str
    ratio : bool
        The draws are logarithms of a ratio.
    better : {"lower", "higher"}
        Which way is benefit.
    unit : str
    draws : ndarray, shape (n,)
        Of the posterior, on the scale of the model.
    prior : Normal
        The one that the study fitted, of this effect: where the page begins.
    largest : float
        The largest clinically relevant effect offered, on the scale of the model.
    relevant : float
        The smallest that matters, as the study file says: where the slider begins; 0 without one.
    named : mapping of str to Normal
        Priors with a name; those wider than the draws' own are not offered, as the draws do not
        reach into their tails (the table of named priors has their answers).
    brief, against : str
        The label in two: what it is, and who is compared with whom; empty where that is not said.
    under : Normal, optional
        The prior that they were drawn under, if not `prior`.
    risk : float, optional
        Risk of the reference group, at which a hazard ratio is also told as a difference of risks.
    """

    label: str
    ratio: bool
    better: str
    unit: str
    draws: np.ndarray
    prior: Normal
    largest: float
    relevant: float = 0.0
    named: Mapping[str, Normal] = NO_NAMES
    under: Normal | None = None
    risk: float | None = None
    brief: str = ""
    against: str = ""

    @property
    def drawn_under(self) -> Normal:
        """The prior that the draws are from, the widest that can be chosen."""
        return self.under or self.prior

    @property
    def narrowest(self) -> float:
        """The smallest standard deviation offered: narrower priors say what they are to find."""
        return NARROWEST * self.prior.sd

    @property
    def farthest(self) -> float:
        """How far from no effect a prior's centre is offered."""
        centres = [self.prior.mean, *(prior.mean for prior in self.named.values())]
        return max(2.0 * self.largest, *map(abs, centres))

    def as_json(self) -> dict[str, object]:
        """For the page; draws are rounded to five significant digits."""
        return {
            "label": self.label,
            "ratio": self.ratio,
            "better": self.better,
            "unit": self.unit,
            "draws": [float(f"{x:.{DIGITS}g}") for x in self.draws],
            "priors": [
                {"name": name, "centre": prior.mean, "sd": prior.sd}
                for name, prior in self.named.items()
                if prior.sd <= self.drawn_under.sd
            ],
            "centre": self.prior.mean,
            "sd": self.prior.sd,
            "under": {"centre": self.drawn_under.mean, "sd": self.drawn_under.sd},
            "narrowest": self.narrowest,
            "farthest": self.farthest,
            "risk": self.risk,
            "largest": self.largest,
            "relevant": self.relevant,
        }


@dataclass(frozen=True)
class Reweighted:
    """A posterior under another prior.

    Attributes
    ----------
    ess : float
        Number of draws that carry the weight.
    median, low, high : float
        Weighted median and 95 % equal-tailed interval, on the scale of the model.
    prob_benefit, prob_relevant : float
        Probability of any benefit, and of one larger than the clinically relevant effect.
    """

    ess: float
    median: float
    low: float
    high: float
    prob_benefit: float
    prob_relevant: float

    @property
    def trusted(self) -> bool:
        """Whether enough draws carry the weight for an answer."""
        return self.ess >= SMALLEST_ESS


def reweighted(effect: ExploredEffect, prior: Normal, relevant: float = 0.0) -> Reweighted:
    """The effect under another prior, and the probability of at least a relevant benefit.

    Parameters
    ----------
    effect : ExploredEffect
    prior : Normal
    relevant : float
        Size of the smallest relevant effect, not negative, on the scale of the model.
    """
    x, drawn = effect.draws, effect.drawn_under
    log_weight = 0.5 * ((x - drawn.mean) / drawn.sd) ** 2 - 0.5 * ((x - prior.mean) / prior.sd) ** 2
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    order = np.argsort(x, kind="stable")
    total = np.cumsum(weight[order])
    ends = np.minimum(np.searchsorted(total, (0.025, 0.5, 0.975)), len(x) - 1)
    low, median, high = (float(value) for value in x[order][ends])
    gain = -x if effect.better == "lower" else x
    return Reweighted(
        ess=float(1.0 / np.sum(weight**2)),
        median=median,
        low=low,
        high=high,
        prob_benefit=float(weight[gain > 0].sum()),
        prob_relevant=float(weight[gain > relevant].sum()),
    )


def risk_difference(log_ratio: float, risk: float) -> float:
    """The difference of risks, in percentage points, that a hazard ratio makes of one risk.

    With proportional hazards the other group's risk is 1 - (1 - risk)^HR.

    Parameters
    ----------
    log_ratio : float
        Log hazard ratio.
    risk : float
        Of the reference group, between 0 and 1.
    """
    return 100.0 * ((1.0 - risk) - math.exp(math.exp(log_ratio) * math.log1p(-risk)))


def effects(results: StudyResults) -> list[ExploredEffect]:
    """Every treatment effect of the study that has a posterior and a normal prior."""
    return [*_mortality(results), *_changes(results)]


def _mortality(results: StudyResults) -> list[ExploredEffect]:
    cohort, post = results.cohort, results.mortality.post
    if post is None:
        return []
    event, terms = cohort.event_name, treatment_terms(results.mortality, cohort)
    found = []
    for level, term in terms.items():
        brief, against = f"Hazard ratio of {event}", f"{level} against {cohort.groups[0]}"
        prior = implied_prior({term: 1.0}, post.stack)
        if prior is None:
            continue
        effect = ExploredEffect(
            f"{brief}, {against}", True, "lower", "", thinned(post.draw(term)), prior,
            math.log(2.0), named=TREATMENT, brief=brief, against=against,
        )  # fmt: skip
        found.append(_from_the_widest(effect, results) if len(terms) == 1 else effect)
    return found


def _from_the_widest(effect: ExploredEffect, results: StudyResults) -> ExploredEffect:
    """The same with the draws under the widest normal prior that the study has sampled."""
    part = results.parts.get("priors")
    if part is None:
        return effect
    known = named_priors(results.study)
    normal = {
        name: prior for name, prior in known.items()
        if isinstance(prior, Normal) and name in part["draws"]
    }  # fmt: skip
    widest = max(normal, key=lambda name: normal[name].sd, default="")
    risk = float(part["baseline_risk"])
    effect = replace(
        effect, risk=risk if math.isfinite(risk) else None, named=normal or effect.named
    )
    if not widest or normal[widest].sd <= effect.prior.sd:
        return effect
    draws = thinned(part["draws"][widest], 2 * MOST_DRAWS)
    return replace(effect, draws=draws, under=normal[widest])


def _changes(results: StudyResults) -> list[ExploredEffect]:
    cohort = results.cohort
    schema = cohort.schema
    found = []
    for name, model in results.markers.items():
        marker, post = cohort.markers[name], model.post
        if post is None:
            continue
        for change in results.study.contrasts:
            try:
                weights = contrast_weights(fixed_of(post), change, model.data)
            except LongsurvError:  # the section on markers says why there is no answer
                continue
            prior = implied_prior(weights, post.stack)
            if prior is None:
                continue
            ratio = marker.transform == "log"
            smallest = relevant_on_scale(marker)
            spread = baseline_sd(model.data, schema.patient, schema.time)
            what = "ratio of changes" if ratio else "difference in change"
            words = change_words(change.start, change.end, schema.time_unit)
            brief = f"{marker.label}: {what}, {words}"
            against = f"{change.level} against {change.reference}"
            found.append(
                ExploredEffect(
                    label=f"{brief}, {against}",
                    brief=brief,
                    against=against,
                    ratio=ratio,
                    better=marker.direction or "lower",
                    unit="" if ratio else marker.unit,
                    draws=thinned(sum(w * post.draw(term) for term, w in weights.items())),
                    prior=prior,
                    # Twice what matters, so that the slider begins exactly at it.
                    largest=2.0 * smallest or (math.log(2.0) if ratio else spread or prior.sd),
                    relevant=smallest,
                )
            )
    return found


def relevant_on_scale(marker: Marker) -> float:
    """Size of the smallest difference that matters, on the scale of analysis; 0 without one."""
    if marker.relevant is None:
        return 0.0
    return abs(math.log(marker.relevant)) if marker.transform == "log" else marker.relevant


def implied_prior(weights: Mapping[str, float], stack: Stack) -> Normal | None:
    """The prior of a combination of coefficients where it is normal; else None."""
    found = prior_of(stack, weights)
    return found if isinstance(found, Normal) else None


def thinned(draws: ArrayLike, most: int = MOST_DRAWS) -> np.ndarray:
    """At most so many of them, in order of size and evenly spaced: the same distribution.

    Parameters
    ----------
    draws : array
    most : int
    """
    flat: np.ndarray = np.sort(np.asarray(draws, dtype=float).ravel())
    if flat.size <= most:
        return flat
    evenly: np.ndarray = flat[((np.arange(most) + 0.5) * flat.size / most).astype(int)]
    return evenly


def script_data(found: list[ExploredEffect]) -> str:
    """The effects as JSON that cannot end the element it stands in."""
    data = {
        "effects": [effect.as_json() for effect in found],
        "smallestEss": SMALLEST_ESS,
        "roughEss": ROUGH_ESS,
    }
    text = json.dumps(data, ensure_ascii=True, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
