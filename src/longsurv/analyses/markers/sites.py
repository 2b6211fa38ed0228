"""The sites of a cohort in its markers' mixed models."""

from __future__ import annotations

import re

from longsurv.cohort import Cohort
from longsurv.design.names import quoted


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
