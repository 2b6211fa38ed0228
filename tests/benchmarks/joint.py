"""Joint models of log bilirubin and death or transplantation in pbc, and the panel of markers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from mixed import PBC, pbc_visits
from timing import Row, once, seconds

from longsurv import example_path, read_cohort
from longsurv.estimands.changes import Change
from longsurv.models import LMM, CoxPH, JointModel, Panel


def pbc_joint(baseline: str) -> JointModel:
    """The model of JM's and JMbayes2's manuals: current value of log bilirubin."""
    patients = pd.read_csv(example_path("pbc") / "patients.csv")
    patients["event"] = (patients["status"] != "censored").astype(int)
    patients["drug"] = (patients["drug"] != "placebo").astype(int)
    event = CoxPH("Surv(years, event) ~ drug + age", patients)
    return JointModel(LMM(PBC, pbc_visits()), event, time="year", baseline=baseline)


def fits(folder: Path) -> Iterator[Row]:
    """Maximum likelihood with two baselines, and a posterior with everything in it."""
    for baseline in ("weibull", "spline"):
        work = f"joint MLE, pbc, {baseline}"
        yield Row(work, "longsurv", seconds(lambda b=baseline: pbc_joint(b).fit(), 3))
    work = "joint posterior, pbc, spline"
    spent, post = once(lambda: pbc_joint("spline").sample(seed=1))
    table = post.tidy(component="all").set_index("term")
    yield Row(work, "longsurv", spent, note=f"R-hat at most {table['r_hat'].max():.3f}")
    ess = float(table.loc["assoc.value", "ess_bulk"])
    yield Row(work, "longsurv", ess / spent, "ESS(alpha)/s", note=f"ESS {ess:.0f}")


def panel(folder: Path) -> Iterator[Row]:
    """Fourteen markers by both engines, and the hierarchical model of twelve."""
    cohort = read_cohort(example_path("ivig_sepsis") / "study.toml")
    change = Change("phase", "baseline", "after", "treatment", "ivig", "control")
    markers = Panel.from_cohort(cohort, "phase * treatment + (1 | patient)", change)
    next(iter(markers.members.values())).spec.sample(draws=20, tune=20)  # loads what is loaded once
    work = "panel of 14 markers"
    reml, _ = once(lambda: markers.fit().tidy())
    yield Row(work, "longsurv, REML + KR", reml)
    posteriors, _ = once(markers.sample)
    yield Row(work, "longsurv, posteriors", posteriors, note="2 x 1000 draws each")
    shrinking, shrunken = once(markers.shrink)
    ess = shrunken.tidy(component="hyper")["ess_bulk"].min()
    note = f"2 x 1000 draws, 12 markers; smallest ESS of mean and spread {ess:.0f}"
    yield Row(work, "longsurv, shrunken", shrinking, note=note)
    yield Row(work, "longsurv, all three", reml + posteriors + shrinking)
