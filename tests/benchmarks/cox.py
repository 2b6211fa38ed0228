"""Cox models against lifelines, firthmodels and R."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from timing import REFERENCE, Row, once, peer_seconds, r_seconds, seconds

from longsurv.analyses.mortality.prior_grid import prior_grid
from longsurv.models import CoxPH, FineGray

COLUMNS = [f"x{j}" for j in range(10)]
FORMULA = "Surv(time, event) ~ " + " + ".join(COLUMNS)


def simulated_cohort(n: int, seed: int = 1) -> pd.DataFrame:
    """Ten covariates, times in whole days over five years, about half of them events."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 10))
    days = rng.exponential(size=n) * 900.0 / np.exp(X @ np.linspace(-0.3, 0.3, 10))
    censored = rng.uniform(0.0, 1826.0, size=n)
    data = pd.DataFrame(X, columns=COLUMNS)
    data["time"] = np.ceil(np.minimum(days, censored))
    data["event"] = (days <= censored).astype(int)
    return data


def fits(folder: Path) -> Iterator[Row]:
    """100,000 x 10 with daily ties beside lifelines and R; 1,000,000 x 10 beside R."""
    from lifelines import CoxPHFitter

    data, work = simulated_cohort(100_000), "Cox, 100,000 x 10, daily ties"
    yield Row(
        work,
        "longsurv",
        seconds(lambda: CoxPH(FORMULA, data).fit().tidy(), 5),
        note="formula to table",
    )

    def by_lifelines() -> None:
        CoxPHFitter().fit(data, duration_col="time", event_col="event")

    yield Row(work, "lifelines", seconds(by_lifelines, 3))
    found = r_seconds("bench_coxph", data, folder, "efron", "3")
    if found:
        yield Row(work, "R survival", found[1])
    for tool in ("survival", "greenwood"):
        spent = peer_seconds(tool, data, folder, FORMULA, 1, "cox")
        if spent is not None:
            yield Row(work, f"{tool} (PyPI)", spent)
    work = "Cox, 1,000,000 x 10, daily ties"
    large = simulated_cohort(1_000_000)
    yield Row(
        work,
        "longsurv",
        seconds(lambda: CoxPH(FORMULA, large).fit().tidy(), 3),
        note="formula to table",
    )
    found = r_seconds("bench_coxph", large, folder, "efron", "1")
    if found:
        yield Row(work, "R survival", found[1])


def few_patients(covariates: int, n: int = 198, seed: int = 1) -> pd.DataFrame:
    """A treatment and standard normal covariates, continuous times, about two thirds events."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, covariates))
    X[:, 0] = X[:, 0] > 0
    effects = np.linspace(-0.5, 0.5, covariates) / np.sqrt(covariates)
    times, censored = rng.exponential(size=n) / np.exp(X @ effects), rng.exponential(2.0, size=n)
    data = pd.DataFrame(X, columns=[f"x{j}" for j in range(covariates)])
    data["time"], data["event"] = np.minimum(times, censored), (times <= censored).astype(int)
    return data


def firth(folder: Path) -> Iterator[Row]:
    """Firth's fit and profile intervals of all coefficients, beside firthmodels if it is there.

    Both from arrays, as firthmodels takes them: our design is made beforehand, sorting is part of
    the fit. Ours climbs on until nothing is left to gain but rounding, theirs until no coefficient
    moves by more than 1e-6; ours takes a limit for found at about seven digits of a standard error,
    theirs where score and log-likelihood are within 1e-4. Theirs makes Breslow's baseline hazard
    too, ours only when asked. From the formula to the table is a row of its own.
    """
    peer = importlib.util.find_spec("firthmodels") and importlib.import_module("firthmodels")
    for k in (5, 15):
        data = few_patients(k)
        formula = "Surv(time, event) ~ " + " + ".join(f"x{j}" for j in range(k))
        X = data.filter(like="x").to_numpy()
        y = (data["event"].to_numpy(bool), data["time"].to_numpy())
        specs = [CoxPH(formula, data) for _ in range(202)]
        designed = iter([spec for spec in specs if len(spec.design.rows)])

        def ours(intervals: str, designed: Iterator[CoxPH] = designed) -> None:
            next(designed).fit("firth", intervals)

        def theirs(intervals: bool, X: np.ndarray = X, y: tuple = y) -> None:
            fitted = peer.FirthCoxPH().fit(X, y)
            if intervals:
                fitted.conf_int(method="pl")

        def table(formula: str = formula, data: pd.DataFrame = data) -> None:
            CoxPH(formula, data).fit("firth").tidy()

        for work, profile in (("fit", False), ("fit, intervals", True)):
            work = f"Firth, 198 x {k}: {work}"
            kind = "profile" if profile else "wald"
            if profile:
                yield Row(work, "longsurv, formula to table", seconds(table, 30))
            yield Row(work, "longsurv", seconds(lambda kind=kind: ours(kind), 100))
            if peer:
                yield Row(work, "firthmodels", seconds(lambda p=profile: theirs(p), 100))


def priors(folder: Path) -> Iterator[Row]:
    """Hazard ratio and risk difference of 41 patients with five deaths under five priors."""
    data = pd.read_csv(REFERENCE / "icu.csv")
    spec = CoxPH("Surv(entry, exit, event) ~ group + age", data)
    prior_grid(spec, "group", horizon=28.0, draws=20)  # loads what is loaded once
    spent, grid = once(lambda: prior_grid(spec, "group", horizon=28.0))
    yield Row("five priors, 41 patients", "longsurv", spent, note="2 x 1000 draws each")
    least = float(grid.table["ess"].min())
    yield Row("five priors, 41 patients", "longsurv", least, "smallest ESS")


def patients_of_sites(n: int, k: int, seed: int = 1) -> pd.DataFrame:
    """Patients of k sites, whose log hazards have standard deviation 0.5; two thirds events."""
    rng = np.random.default_rng(seed)
    site, arm, age = rng.integers(k, size=n), rng.integers(2, size=n), rng.normal(size=n)
    rates = 0.05 * np.exp(rng.normal(0, 0.5, k)[site] - 0.5 * arm + 0.3 * age)
    times, censored = rng.exponential(size=n) / rates, rng.uniform(5.0, 40.0, n)
    data = pd.DataFrame({"site": site, "arm": arm, "age": age})
    return data.assign(time=np.minimum(times, censored), event=(times <= censored) * 1)


def sites(folder: Path) -> Iterator[Row]:
    """Site effects beside R's coxme (normal) and survival (gamma), whose search is let arrive."""
    for n, k in ((400, 20), (5_000, 50), (20_000, 100)):
        data = patients_of_sites(n, k)
        for kind, peer in (("gaussian", "R coxme"), ("gamma", "R survival, arrived")):
            work = f"Cox, {n:,} of {k} sites, {kind}"

            def fit(data: pd.DataFrame = data, kind: str = kind) -> object:
                formula = "Surv(time, event) ~ arm + age + (1 | site)"
                return CoxPH(formula, data, frailty=kind).fit().tidy()

            yield Row(work, "longsurv", seconds(fit, 3), note="formula to table")
            found = r_seconds("bench_frailty", data, folder, kind, "3" if n < 20_000 else "1")
            if found:
                yield Row(work, peer, found[1])
            formula = "Surv(time, event) ~ arm + age + (1 | site)"
            spent = kind == "gamma" and peer_seconds("greenwood", data, folder, formula, 1, kind)
            if spent:
                yield Row(work, "greenwood (PyPI)", spent, note="Breslow's ties")


def fine_gray(folder: Path) -> Iterator[Row]:
    """Fine and Gray's model with robust standard errors, beside R's survival and cmprsk."""
    columns = COLUMNS[:5]
    for n in (400, 4_000):
        rng = np.random.default_rng(2)
        X = rng.normal(size=(n, 5))
        times = rng.exponential(size=(n, 2)) * 30.0 / np.exp(np.c_[0.3 * X[:, 0], -0.3 * X[:, 1]])
        censored = rng.uniform(10.0, 60.0, n)
        status = np.where(times.min(axis=1) <= censored, 1 + times.argmin(axis=1), 0)
        time = np.minimum(times.min(axis=1), censored)
        data = pd.DataFrame(X, columns=columns).assign(time=time, status=status)
        formula, work = f"Surv(time, status) ~ {' + '.join(columns)}", f"Fine-Gray, {n:,} x 5"

        def fit(data: pd.DataFrame = data, formula: str = formula) -> object:
            return FineGray(formula, data).fit().tidy()

        yield Row(work, "longsurv", seconds(fit, 5), note="formula to table")
        for peer in ("survival", "cmprsk"):
            found = r_seconds("bench_fine_gray", data, folder, peer, "3")
            if found:
                yield Row(work, f"R {peer}", found[1])
        spent = peer_seconds("greenwood", data, folder, formula, 1, "fine-gray")
        if spent is not None:
            yield Row(work, "greenwood (PyPI)", spent)
