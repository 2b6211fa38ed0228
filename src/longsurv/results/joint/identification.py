"""How much of each association of a joint model is data, how much prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pandas as pd

from longsurv.design.joint import JointDesign
from longsurv.priors import Prior
from longsurv.results.prior_share import CONFLICT, Drawn, PriorShare, prior_shares

TERM = "assoc.value"
"""The association, where there is one."""
SENSITIVE = 0.05
"""Power-scaling sensitivity from which on a posterior is said to move."""
IDENTIFIED, PARTLY = 0.9, 0.5
"""Contraction from which the data say most, and from which they say something."""


class AssociationDraws(Drawn, Protocol):
    """What is used of a joint model's posterior."""

    @property
    def design(self) -> JointDesign:
        """The arrays of the model."""

    @property
    def priors(self) -> Mapping[str, Prior]:
        """The prior of each parameter."""


def identification(posterior: AssociationDraws) -> pd.DataFrame:
    """How much of each association is data, how much prior.

    Parameters
    ----------
    posterior : JointPosterior
        Of any number of markers and causes.

    Returns
    -------
    DataFrame
        term, events (of its cause), prior, contraction, prior_share, psense_prior,
        psense_likelihood, conflict_p, diagnosis, identified ("yes", "partly", "no"), words.
    """
    rows = []
    for cause in posterior.design.causes:
        events = int(cause.status.sum())
        for term in cause.association_names:
            prior = posterior.priors[term]
            shares = prior_shares(posterior, term, prior)
            identified = _identified(shares)
            name = "the association" if term == TERM else term
            rows.append(
                {"term": term, "events": events, "prior": str(prior)}
                | shares._asdict()
                | {"identified": identified,
                   "words": _words(name, identified, shares, events, str(prior))}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _identified(shares: PriorShare) -> str:
    if shares.contraction < PARTLY or _moves_with_prior_alone(shares):
        return "no"
    return "yes" if shares.contraction >= IDENTIFIED else "partly"


def _moves_with_prior_alone(shares: PriorShare) -> bool:
    """Strong prior, weak likelihood, by power scaling."""
    return shares.psense_prior >= SENSITIVE > shares.psense_likelihood


def _words(name: str, identified: str, shares: PriorShare, events: int, prior: str) -> str:
    head = {
        "no": f"The data do not identify {name}",
        "partly": f"The data identify {name} in part",
        "yes": f"The data identify {name}",
    }[identified]
    share, sensitivity = 100 * shares.prior_share, shares.psense_prior
    count = f"{events} event{'s' if events != 1 else ''}"
    lines = [
        f"{head}: with {count}, its posterior variance is {share:.0f} % of the prior's ({prior})."
    ]
    if _moves_with_prior_alone(shares):
        lines.append(
            f"The answer moves with the prior (power-scaling sensitivity {sensitivity:.2f}) more "
            "than with the data: it says mostly what was put in."
        )
    elif shares.conflict_p < CONFLICT:
        lines.append(
            f"Prior and data are in conflict: for someone who believed the prior, data as far out"
            f" have probability {shares.conflict_p:.2g}. Ask which of the two is wrong."
        )
    return " ".join(lines)
