"""Mixed models: REML against statsmodels and lme4, posteriors against PyMC with nutpie."""

from __future__ import annotations

import resource
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from timing import REFERENCE, Row, once, peer_seconds, r_seconds, seconds

from longsurv import example_path
from longsurv.models import GLMM, LMM

PBC = "log(bili) ~ year * drug + (year | id)"


def pbc_visits() -> pd.DataFrame:
    """The pbc bilirubin measurements, one row a visit, with the patient's drug."""
    folder = example_path("pbc")
    visits = pd.read_csv(folder / "measurements.csv")
    visits = visits.loc[visits["marker"] == "bili"].rename(columns={"value": "bili"})
    visits["bili"] = visits["bili"].astype(float)
    patients = pd.read_csv(folder / "patients.csv")
    return visits.merge(patients, on="id").assign(
        drug=lambda d: (d["drug"] != "placebo").astype(int)
    )


def simulated_visits(patients: int, visits: int, seed: int = 1) -> pd.DataFrame:
    """A two-arm cohort with random intercepts and slopes."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), visits)
    time = np.tile(np.arange(visits, dtype=float), patients)
    arm = (patient % 2).astype(float)
    start, rise = rng.normal(size=patients)[patient], 0.3 * rng.normal(size=patients)[patient]
    y = 1.0 + start + (0.2 + rise + 0.1 * arm) * time + 0.3 * arm + rng.normal(size=len(time))
    return pd.DataFrame({"id": patient, "time": time, "arm": arm, "y": y})


PEERS = ("mixedlm", "interlace")


def peers(
    work: str, data: pd.DataFrame, folder: Path, formula: str, repeats: int, family: str = ""
) -> Iterator[Row]:
    """The same fit by other packages of Python, where they are."""
    for tool in PEERS:
        spent = peer_seconds(tool, data, folder, formula, repeats, family)
        if spent is not None:
            yield Row(work, tool, spent)


def reml(folder: Path) -> Iterator[Row]:
    """REML of the pbc model, and of 20,000 patients with 10 visits each."""
    import statsmodels.api as sm

    work, data = "REML, pbc (1945 visits)", pbc_visits()
    yield Row(work, "longsurv", seconds(lambda: LMM(PBC, data).fit(), 20), note="formula to table")
    spec = LMM(PBC, data)
    yield Row(work, "longsurv, fitting alone", seconds(spec.fit, 20))

    def by_statsmodels() -> None:
        model = sm.MixedLM.from_formula(
            "np.log(bili) ~ year * drug", data, groups="id", re_formula="year"
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of non-convergence on the way
            model.fit(reml=True)

    yield Row(work, "statsmodels MixedLM", seconds(by_statsmodels, 2))
    found = r_seconds("bench_lme4", data, folder, PBC, "10")
    if found:
        yield Row(work, "R lme4", found[1])
    logged = data.assign(logged=np.log(data["bili"]))
    yield from peers(work, logged, folder, PBC.replace("log(bili)", "logged"), 10)

    work, formula = "REML, 20,000 x 10 visits", "y ~ time * arm + (time | id)"
    large = simulated_visits(20_000, 10)
    spec = LMM(formula, large)
    table = seconds(lambda: LMM(formula, large).fit().tidy(), 5)
    yield Row(work, "longsurv, formula to table", table)

    def fitting() -> None:
        fresh = LMM(formula, large)
        fresh.__dict__["design"] = spec.design
        fresh.fit()

    yield Row(work, "longsurv, fitting", seconds(fitting, 5), note="arrays to table")
    found = r_seconds("bench_lme4", large, folder, formula, "1")
    if found:
        yield Row(work, "R lme4", found[1])
    yield from peers(work, large, folder, formula, 1)


def crossed(folder: Path) -> Iterator[Row]:
    """REML of 5,000 patients seen 40 times each at any of 60 sites, and of the penicillin assays
    with Kenward-Roger's degrees of freedom."""
    work, formula = "REML, 200,000 rows, 5,000 x 60", "y ~ time * arm + (1 | id) + (1 | site)"
    rng, data = np.random.default_rng(2), simulated_visits(5_000, 40)
    data["site"] = rng.integers(0, 60, len(data))
    data["y"] += 0.5 * rng.normal(size=60)[data["site"]]
    table = seconds(lambda: LMM(formula, data).fit().tidy(), 3)
    yield Row(work, "longsurv, formula to table", table, note="Kenward-Roger df of every row")
    found = r_seconds("bench_lme4", data, folder, formula, "1")
    if found:
        yield Row(work, "R lme4", found[1])
    yield from peers(work, data, folder, formula, 1)

    work, data = "REML + Kenward-Roger, penicillin", pd.read_csv(REFERENCE / "penicillin.csv")
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    table = seconds(lambda: LMM(formula, data).fit().tidy(), 20)
    yield Row(work, "longsurv, formula to table", table)
    found = r_seconds("bench_lme4", data, folder, formula, "5", "TRUE", "(Intercept)")
    if found and len(found) > 3:
        yield Row(work, "R lme4 + pbkrtest", found[3])


def counts(folder: Path) -> Iterator[Row]:
    """Counts of 400 patients seen six times: by Poisson and negative binomial models with effects
    of patients, and with those of 30 sites that they cross."""
    rng, data = np.random.default_rng(3), simulated_visits(400, 6)
    data["site"] = rng.integers(0, 30, len(data))
    eta = 0.3 + 0.1 * data["time"] + 0.3 * data["arm"] + 0.8 * rng.normal(size=400)[data["id"]]
    crossing = eta + 0.6 * rng.normal(size=30)[data["site"]]
    one, two = "y ~ time * arm + (1 | id)", "y ~ time * arm + (1 | id) + (1 | site)"
    for work, formula, predictor, family, theirs in (
        ("Poisson, 400 x 6", one, eta, "poisson", "poisson"),
        ("negative binomial, 400 x 6", one, eta, "negative_binomial", "nbinom2"),
        ("Poisson, 400 x 6 at 30 sites", two, crossing, "poisson", "poisson"),
    ):
        mean = np.exp(predictor) * (rng.gamma(2.0, 0.5, len(data)) if theirs == "nbinom2" else 1.0)
        visits = data.assign(y=rng.poisson(mean))
        spec = GLMM(formula, visits, family=family)
        table = seconds(lambda spec=spec: replace(spec).fit().tidy(), 3)
        yield Row(work, "longsurv, formula to table", table, note="quadrature and its checks")
        yield Row(work, "longsurv, climb alone", seconds(spec.find, 3))
        found = r_seconds("bench_glmer", visits, folder, formula, theirs, "3")
        if found:
            tool = "R glmmTMB" if theirs == "nbinom2" else "R lme4"
            yield Row(work, tool, found[1], note="Laplace's approximation")
        # Of negative binomial counts both return the values of theta = 1.
        if theirs == "poisson":
            yield from peers(work, visits, folder, formula, 1, theirs)


def million(folder: Path) -> Iterator[Row]:
    """A million patients with five visits each, whose labels are text."""
    data = simulated_visits(1_000_000, 5)
    data["id"] = "P" + data["id"].astype(str).str.zfill(7)
    for term in ("(1 | id)", "(time | id)"):
        work, formula = f"REML, 1,000,000 x 5, {term}", f"y ~ time * arm + {term}"
        spent, table = once(lambda formula=formula: LMM(formula, data).fit().tidy())
        error = float((table["estimate"] - [1.0, 0.2, 0.3, 0.1]).abs().max())
        yield Row(work, "longsurv, formula to table", spent, note=f"off by at most {error:.4f}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        yield Row(work, "longsurv", peak, "GB at the peak", "data included; of this run so far")


def kenward_roger(folder: Path) -> Iterator[Row]:
    """REML and Kenward-Roger's F test on sleepstudy."""

    data = pd.read_csv(REFERENCE / "sleepstudy.csv")
    formula, work = "Reaction ~ Days + (Days | Subject)", "REML + Kenward-Roger, sleepstudy"
    spec = LMM(formula, data)
    table = seconds(lambda: LMM(formula, data).fit().tidy(), 50)
    yield Row(work, "longsurv, formula to table", table, note="Kenward-Roger df of every row")
    yield Row(work, "longsurv, fitting alone", seconds(lambda: spec.fit().test("Days"), 50))
    found = r_seconds("bench_lme4", data, folder, formula, "10", "TRUE", "Days")
    if found and len(found) > 3:
        yield Row(work, "R lme4 + pbkrtest", found[3])


def posterior(folder: Path) -> Iterator[Row]:
    """Smallest effective sample size a second of the pbc mixed model, set-up included."""
    import nutpie

    from longsurv.results.posterior import summarise

    work, data = "posterior, pbc mixed model", pbc_visits()
    LMM(PBC, data).sample(draws=20, tune=20)  # loads what is loaded once

    def rate(table: pd.DataFrame, spent: float) -> float:
        return float(table[["ess_bulk", "ess_tail"]].min().min() / spent)

    spent, post = once(lambda: LMM(PBC, data).sample(seed=1))
    yield Row(work, "longsurv", spent, note="2 x 1000 draws, everything")
    yield Row(work, "longsurv", rate(post.tidy(component="all"), spent), "smallest ESS/s")
    model = LMM(PBC, data).to_pymc()
    compile_time, compiled = once(lambda: nutpie.compile_pymc_model(model))
    sample_time, trace = once(
        lambda: nutpie.sample(compiled, draws=1000, tune=1000, chains=2, seed=1, progress_bar=False)
    )
    draws = trace["posterior"]
    scalars = {name: draws[name].to_numpy() for name in draws.data_vars if draws[name].ndim == 2}
    spent = compile_time + sample_time
    yield Row(work, "PyMC + nutpie", spent, note=f"{compile_time:.1f} s of it compiling")
    yield Row(work, "PyMC + nutpie", rate(summarise(scalars, 0.95), spent), "smallest ESS/s")
