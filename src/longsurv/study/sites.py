"""The sites of a study: which models have a random effect of them, and what is said of it."""

from __future__ import annotations

import re

from longsurv.cohort import Cohort
from longsurv.design.names import quoted
from longsurv.words import capital, listed, plural

FEW = 10
"""Below so many sites the data hardly say how much they differ."""


def named_in(formula: str, name: str) -> bool:
    """Whether a formula's text has a name, as a whole word or between back-quotes."""
    own = re.escape(name)
    return re.search(rf"(?<![\w`]){own}(?![\w`])|`{own}`", formula) is not None


def with_site(trajectory: str, cohort: Cohort) -> str:
    """The right-hand side of the markers' mixed models, with a random effect of the site.

    Parameters
    ----------
    trajectory : str
        As the study file has it; one that names the site is left as it is.
    cohort : Cohort
    """
    site = cohort.schema.site
    if site is None or named_in(trajectory, site):
        return trajectory
    return f"{trajectory} + (1 | {quoted(site)})"


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
    without = ["analyses adjusted for the baseline value", "models of scores"]
    without += ["markers with values beyond a limit", "joint models"]
    if not named_in(mortality, site):
        without += ["models of mortality"]
    text = (
        f"The markers' trajectories have a random effect of the site ({cohort.label(site)}, "
        f"{plural(count, 'site')}). {capital(listed(without))} do not take the site into account:"
        " their patients count as independent of one another."
    )
    lacking = int(cohort.patients[site].isna().sum())
    if lacking:
        text += f" {plural(lacking, 'patient')} without a site are not in the trajectories."
    if count < FEW:
        text += (
            f" {plural(count, 'site')} are few: how much sites differ is hardly known, and what"
            " differs between them rests on their number, not on that of the patients."
        )
    return text
