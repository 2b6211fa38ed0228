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
    work = "panel of 14 markers"
    yield Row(work, "longsurv, REML + KR", once(lambda: markers.fit().tidy())[0])
    yield Row(work, "longsurv, posteriors", once(markers.sample)[0], note="2 x 1000 draws each")
    yield Row(
        work, "longsurv, shrunken", once(markers.shrink)[0], note="2 x 1000 draws, 12 markers"
    )
