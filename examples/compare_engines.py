"""Put both engines' answers to one question side by side, and say why they differ.

Run with: python examples/compare_engines.py
"""

from __future__ import annotations

import longsurv as ls
from longsurv.models import CoxPH

PRIORS = ("flat-ish", "weak", "sceptical")


def main() -> None:
    """Compare the hazard ratio of five deaths with its posterior under three priors."""
    cohort = ls.read_cohort(ls.example_path("ivig_sepsis") / "study.toml")
    print(cohort.describe(), end="\n\n")
    death = CoxPH("Surv(entry, exit, event) ~ treatment", data=cohort.survival_data())
    fit = death.fit()
    for name in PRIORS:
        prior = ls.priors.TREATMENT[name]
        row = ls.compare(fit, death.sample(seed=1, priors={"treatment": prior})).iloc[0]
        print(f"Prior {name}, {prior}: log hazard ratio of {row['term']}")
        print(
            f"  maximum likelihood {row['estimate_ml']:6.2f} "
            f"({row['conf_low_ml']:.2f} to {row['conf_high_ml']:.2f})\n"
            f"  Bayes              {row['estimate_bayes']:6.2f} "
            f"({row['conf_low_bayes']:.2f} to {row['conf_high_bayes']:.2f})\n"
            f"  {row['verdict']}: {row['reason']}\n"
        )


if __name__ == "__main__":
    main()
