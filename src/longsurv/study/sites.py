"""The sites of a study: which models have a random effect of them, and what is said of it."""

from __future__ import annotations

from longsurv.analyses.markers.sites import named_in
from longsurv.cohort import Cohort
from longsurv.words import listed, plural, verb

FEW = 10
"""Below so many sites the data hardly say how much they differ."""


def site_problems(cohort: Cohort) -> list[str]:
    """What is wrong with a study's sites, in words."""
    site = cohort.schema.site
    if site is None or cohort.patients[site].nunique() > 1:
        return []
    return [f"[patients] site: the column {site!r} has one value only. Leave the key out"]


def site_words(cohort: Cohort, mortality: str) -> str:
    """Which models have an effect of the site, and whether the sites are few; empty without.

    Parameters
    ----------
    cohort : Cohort
    mortality : str
        Right-hand side of the mortality model, which may name the site itself, as a stratum.
    """
    site = cohort.schema.site
    if site is None:
        return ""
    count = int(cohort.patients[site].nunique())
    without = ["Overlap weights", "joint models"]
    also = ""
    if not named_in(mortality, site):
        without += ["other models of mortality"]
        also = ", and so has one of the Cox models among the methods that compare mortality"
    text = (
        "The markers' trajectories, models of scores, and answers given the first value have a"
        f" random effect of the site ({cohort.label(site)}, {plural(count, 'site')}){also}."
        f" {listed(without)} do"
        " not take the site into account: their patients count as independent of one another."
    )
    lacking = int(cohort.patients[site].isna().sum())
    if lacking:
        text += (
            f" {plural(lacking, 'patient')} without a site {verb(lacking, 'is', 'are')} not in"
            " these models."
        )
    if count < FEW:
        text += (
            f" {plural(count, 'site')} are few: how much sites differ is hardly known, and what"
            " differs between them rests on their number, not on that of the patients."
        )
    return text
