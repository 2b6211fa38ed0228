"""Sentences about what curves of groups made alike, and priors before the data, say of risks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from longsurv.words import listed

if TYPE_CHECKING:
    from longsurv.report.sentences_mortality import Compared


def adjusted_risks(
    asked: Compared,
    risks: Mapping[str, tuple[float, float]],
    weighted_for: Sequence[str],
    standardised_for: Sequence[str],
    effective: Mapping[str, float],
    competing: bool,
) -> str:
    """The risks in groups made alike, in either way.

    Parameters
    ----------
    asked : Compared
    risks : mapping of str to (float, float)
        "weighted" and "standardised" to the risk in the group and in the reference.
    weighted_for, standardised_for : sequence of str
        Covariates.
    effective : mapping of str to float
        Group to the effective number of patients after weighting.
    competing : bool
        Whether patients may leave by another event, which is censored here.
    """
    found = []
    if "weighted" in risks:
        one, other = risks["weighted"]
        sizes = " and ".join(f"{effective[g]:.0f}" for g in (asked.group, asked.reference))
        found.append(
            f"weighted to be alike in {listed(list(weighted_for))} (counting as {sizes} patients)"
            f" {100 * one:.1f} % in {asked.group} and {100 * other:.1f} % in {asked.reference}"
        )
    if "standardised" in risks:
        one, other = risks["standardised"]
        found.append(
            f"standardised for {listed(list(standardised_for))} {100 * one:.1f} % and"
            f" {100 * other:.1f} %"
        )
    if not found:
        return ""
    risk = f"{asked.risk[:1].upper()}{asked.risk[1:]}"
    alone = ", were nobody to leave by another way" if competing else ""
    return f"{risk}{alone}: {'; '.join(found)}."


def no_baseline_risk(asked: Compared) -> str:
    """That the priors are not told as risks.

    Parameters
    ----------
    asked : Compared
    """
    return (
        f"The priors are not told as risks: the Kaplan-Meier {asked.risk} is 0, 1 or not known, in"
        f" {asked.reference} and of all patients."
    )


def no_risks(reason: str, asked: Compared) -> str:
    """Why the posteriors give no risks; empty if they do.

    Parameters
    ----------
    reason : str
    asked : Compared
    """
    if not reason:
        return ""
    return f"Not estimated: the {asked.risk} under any prior. Reason: {reason.rstrip('.')}."


def prior_predictive(spans: Mapping[str, tuple[float, float]], risk: float, asked: Compared) -> str:
    """What the narrowest and the widest prior say of the treated risk before the data.

    Parameters
    ----------
    spans : mapping of str to (float, float)
        Prior to the 2.5 % and 97.5 % quantiles of the treated risk.
    risk : float
        Of the reference group.
    asked : Compared
    """
    narrow = min(spans, key=lambda name: spans[name][1] - spans[name][0])
    wide = max(spans, key=lambda name: spans[name][1] - spans[name][0])
    said = [
        f"{100 * spans[name][0]:.0f} to {100 * spans[name][1]:.0f} % ({name} prior)"
        for name in dict.fromkeys((narrow, wide))
    ]
    return (
        f"Before the data, if the risk in {asked.reference} is {100 * risk:.0f} %, that in"
        f" {asked.group} was with 95 % probability {' or '.join(said)}."
    )
