"""Joint models of log bilirubin and death or transplantation in pbc, and of simulated cohorts of
growing size; the panel of markers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from mixed import PBC, pbc_visits
from timing import Row, once, seconds

from longsurv import example_path, read_cohort
from longsurv.analyses import Panel
from longsurv.estimands.changes import Change
from longsurv.models import LMM, CoxPH, JointModel

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from joint_cohorts import RECOVERED, joint, simulated

AT_ONCE = 10_000


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
    spec = pbc_joint("spline")
    loading, _ = once(lambda: spec.sample(draws=20, tune=20))  # imports nutpie and ArviZ
    for accept in (0.8, 0.6):
        tool = f"longsurv, accepting {accept}"
        spent, post = once(lambda a=accept: pbc_joint("spline").sample(seed=1, target_accept=a))
        table = post.tidy(component="all").set_index("term")
        yield Row(work, tool, spent, note=f"R-hat at most {table['r_hat'].max():.3f}")
        ess = float(table.loc["assoc.value", "ess_bulk"])
        yield Row(work, tool, ess / spent, "ESS(alpha)/s", note=f"ESS {ess:.0f}")
    yield Row(work, "longsurv, first draws", loading, note="2 x 20, loading libraries")


def twin(folder: Path) -> Iterator[Row]:
    """The same posterior by PyMC and nutpie, with explicit random effects."""
    import nutpie

    from longsurv.results.posterior import summarise

    work = "joint posterior, pbc, spline"
    spent, post = once(lambda: pbc_joint("spline").sample(seed=1))
    alpha = post.tidy(component="event").set_index("term").loc["assoc.value"]
    yield Row(work, "longsurv", spent, note=f"alpha {alpha['estimate']:.4f}")
    yield Row(work, "longsurv", alpha["ess_bulk"] / spent, "ESS(alpha)/s")
    model = pbc_joint("spline").to_pymc()
    compile_time, compiled = once(lambda: nutpie.compile_pymc_model(model))
    sample_time, trace = once(
        lambda: nutpie.sample(compiled, draws=500, tune=500, chains=2, seed=1, progress_bar=False)
    )
    draws = {"assoc.value": trace["posterior"]["assoc.value"].to_numpy()}
    theirs, spent = summarise(draws, 0.95).iloc[0], compile_time + sample_time
    note = f"alpha {theirs['estimate']:.4f}; {compile_time:.1f} s of it compiling, 2 x 500 draws"
    yield Row(work, "PyMC + nutpie", spent, note=note)
    yield Row(work, "PyMC + nutpie", theirs["ess_bulk"] / spent, "ESS(alpha)/s")


def cohort(n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measurements and patients of a simulated cohort with up to sixteen visits each."""
    parts = []
    for k, seed in enumerate(np.random.SeedSequence(1).spawn(-(-n // AT_ONCE))):
        size = min(AT_ONCE, n - k * AT_ONCE)
        both = simulated(np.random.default_rng(seed), size)
        parts.append([frame.assign(id=frame["id"] + k * AT_ONCE) for frame in both])
    rows, patients = (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))
    return rows, patients


def _grown(n: int) -> Row:
    rows, patients = cohort(n)
    spent, fit = once(lambda: joint(rows, patients).fit())
    table = fit.tidy(component="all").set_index("term").loc[list(RECOVERED)]
    off = ((table["estimate"] - list(RECOVERED.values())) / table["std_error"]).abs().max()
    note = f"{1e3 * spent / n:.3g} ms a patient; off by at most {off:.1f} standard errors"
    return Row(f"joint MLE, {n:,} patients", "longsurv, Weibull", spent, note=note)


def growth(folder: Path) -> Iterator[Row]:
    """Cost against patients."""
    _grown(300)  # loads what is loaded once
    yield from (_grown(n) for n in (300, 1_000, 3_000, 10_000, 30_000))


def hundred_thousand(folder: Path) -> Iterator[Row]:
    """A registry."""
    yield _grown(100_000)


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
