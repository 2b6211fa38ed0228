"""Fit one marker's trajectory and mortality, by maximum likelihood and by Bayes.

Run with: python examples/fit_models.py
"""

from __future__ import annotations

import longsurv as ls
from longsurv.models import LMM, CoxPH


def main() -> None:
    """Print both answers to both questions for the trial in primary biliary cholangitis."""
    cohort = ls.read_cohort(ls.example_path("pbc") / "study.toml")
    print(cohort.describe(), end="\n\n")

    # The response "y" is the marker on the scale it is modelled on: here log bilirubin.
    bilirubin = LMM("y ~ year * drug + (year | id)", data=cohort.marker_data("bili"))
    print(bilirubin.fit(), end="\n\n")
    print(bilirubin.sample(draws=500, seed=1), end="\n\n")

    death = CoxPH("Surv(entry, exit, event) ~ drug + age", data=cohort.survival_data())
    print(death.fit(), end="\n\n")
    # The sceptical prior puts 95 % of its mass on hazard ratios between 0.5 and 2.
    print(death.sample(draws=500, seed=1, priors={"drug": ls.priors.TREATMENT["sceptical"]}))


if __name__ == "__main__":
    main()
