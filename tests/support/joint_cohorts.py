"""Simulated cohorts for joint models, by inverting the cumulative hazard on a fine grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from longsurv.models import LMM, CoxPH, JointModel

GRID = 1000


@dataclass(frozen=True)
class Truth:
    """A random intercept and slope, and a Weibull hazard that depends on the current value.

    log h = log(scale shape t^(shape - 1)) + effect treated + association (m(t) - centre); m(t) =
    intercept + treated_level treated + (slope + treated_slope treated) t + own intercept and slope.
    """

    intercept: float = 1.0
    slope: float = 0.3
    treated_slope: float = -0.2
    sigma: float = 0.4
    sds: tuple[float, float] = (0.7, 0.3)
    correlation: float = 0.2
    effect: float = -0.5
    association: float = 0.8
    scale: float = 0.04
    shape: float = 1.5
    centre: float = 0.0
    visits: tuple[float, ...] = field(default_factory=lambda: tuple(np.arange(0.0, 8.0, 0.5)))
    censoring: tuple[float, float] = (3.0, 8.0)


RECOVERED = {
    "Intercept": 1.0,
    "t": 0.3,
    "t:treated": -0.2,
    "event.treated": -0.5,
    "assoc.value": 0.8,
    "baseline.shape_minus_1": 0.5,
    "sigma": 0.4,
    "sd(Intercept|id)": 0.7,
    "sd(t|id)": 0.3,
    "cor(Intercept,t|id)": 0.2,
}
"""The usual truth, by terms of the model fitted to it."""


def simulated(
    rng: np.random.Generator, n: int, truth: Truth | None = None, *, late: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measurements (id, t, y, treated) and patients (id, treated, entry, stop, event).

    Patients are at risk from entry, uniform on (0, late), without events before.
    """
    truth = Truth() if truth is None else truth
    treated = np.arange(n) % 2
    D = np.outer(truth.sds, truth.sds) * [[1.0, truth.correlation], [truth.correlation, 1.0]]
    b = rng.multivariate_normal([0.0, 0.0], D, n, method="eigh")
    end = max(truth.censoring)
    entry = rng.uniform(0.0, late, n) if late else np.zeros(n)
    grid = np.linspace(0.0, end, GRID + 1)
    middle = (grid[1:] + grid[:-1]) / 2
    rate = truth.slope + truth.treated_slope * treated + b[:, 1]
    m = truth.intercept + b[:, :1] + rate[:, None] * middle - truth.centre
    hazard = truth.scale * truth.shape * middle ** (truth.shape - 1) * np.exp(
        truth.effect * treated[:, None] + truth.association * m
    ) * (middle > entry[:, None])  # fmt: skip
    H = np.hstack([np.zeros((n, 1)), np.cumsum(hazard * grid[1], axis=1)])
    target = rng.exponential(size=n)
    died = H[:, -1] > target
    death = np.array([np.interp(u, h, grid) for u, h in zip(target, H, strict=True)])
    stop = np.where(died, death, end)
    low, high = truth.censoring
    if low < high:
        stop = np.minimum(stop, rng.uniform(low, high, n))
    patients = pd.DataFrame({"id": np.arange(n) + 100, "treated": treated, "entry": entry})
    patients = patients.assign(stop=stop, event=(died & (death <= stop)).astype(int))
    at = [np.array([v for v in truth.visits if v < s]) for s in stop]
    who = np.repeat(np.arange(n), [len(v) for v in at])
    t = np.concatenate(at)
    y = truth.intercept + b[who, 0] + rate[who] * t + truth.sigma * rng.normal(size=len(t))
    return pd.DataFrame({"id": who + 100, "t": t, "y": y, "treated": treated[who]}), patients


def joint(
    rows: pd.DataFrame,
    patients: pd.DataFrame,
    baseline: str = "weibull",
    *,
    late: bool = False,
    marker: str = "y ~ t + t:treated + (t | id)",
    **more,
) -> JointModel:
    """The model of `simulated`."""
    surv = "Surv(entry, stop, event)" if late else "Surv(stop, event)"
    return JointModel(
        LMM(marker, data=rows),
        CoxPH(f"{surv} ~ treated", data=patients),
        time="t",
        baseline=baseline,
        **more,
    )


def competing(
    rng: np.random.Generator, n: int, rate: float = 0.15, truth: Truth | None = None, **more
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`simulated`, whose event is "dead", with a competing "home" of constant hazard.

    The patients' column "what" holds what happened: dead, home, or nothing.
    """
    rows, patients = simulated(rng, n, truth, **more)
    home = patients["entry"] + rng.exponential(1.0 / rate, n)
    sooner = home < patients["stop"]
    what = np.where(sooner, "home", np.where(patients["event"] == 1, "dead", ""))
    patients = patients.assign(stop=np.minimum(home, patients["stop"]), what=what)
    patients = patients.assign(dead=(what == "dead") * 1, home=(what == "home") * 1)
    stop = patients.set_index("id")["stop"]
    rows = rows[rows["t"] < stop.loc[rows["id"]].to_numpy()]
    return rows.reset_index(drop=True), patients.drop(columns="event")


def of_causes(
    rows: pd.DataFrame,
    patients: pd.DataFrame,
    baseline: str = "weibull",
    *,
    late: bool = False,
    marker: str = "y ~ t + t:treated + (t | id)",
    **more,
) -> JointModel:
    """The model of `competing`."""
    start = "entry, " if late else ""
    event = {
        cause: CoxPH(f"Surv({start}stop, {cause}) ~ treated", data=patients)
        for cause in ("dead", "home")
    }
    return JointModel(LMM(marker, data=rows), event, time="t", baseline=baseline, **more)


class CausesByHand:
    """Random effects, curves and hazards of a fit of `of_causes`, written out on a grid of times.

    Parameters
    ----------
    fit : JointEstimate
        With a Weibull baseline.
    grid : ndarray, shape (m,)
        Times from just above 0 on.
    """

    def __init__(self, fit, grid: np.ndarray) -> None:
        self.fit, self.grid, self.params = fit, grid, fit.params
        variance = fit.tidy(component="variance").set_index("term")["estimate"]
        s0, s1 = variance["sd(Intercept|id)"], variance["sd(t|id)"]
        r = variance["cor(Intercept,t|id)"]
        self.sigma = variance["sigma"]
        self.D = np.array([[s0**2, r * s0 * s1], [r * s0 * s1, s1**2]])

    def curve(self, b: np.ndarray, t: np.ndarray, treated: float) -> np.ndarray:
        """Values of the marker, shape (n, m)."""
        own = self.params["Intercept"] + b[:, :1]
        return own + (self.params["t"] + self.params["t:treated"] * treated + b[:, 1:]) * t

    def hazards(self, b: np.ndarray, treated: float, marker_treated: float) -> np.ndarray:
        """Of each cause on the grid, shape (2, n, m)."""
        design, theta, out = self.fit.design, self.params, []
        m = self.curve(b, self.grid, marker_treated) - design.markers[0].curve.mean
        for cause in design.causes:
            c = cause.name
            log_h = theta[f"baseline[{c}].log_hazard"] + theta[
                f"baseline[{c}].shape_minus_1"
            ] * np.log(self.grid / cause.baseline.unit)
            log_h = log_h + theta[f"event[{c}].treated"] * (treated - cause.covariate_means[0])
            out.append(np.exp(log_h + theta[f"assoc[{c}].value"] * m))
        return np.array(out)


def with_second_marker(rng: np.random.Generator, rows: pd.DataFrame) -> pd.DataFrame:
    """Measurements (id, t, z, treated) of a second marker, every other visit, flat over time."""
    some = rows.iloc[::2].drop(columns="y")
    own = pd.Series(0.6 * rng.normal(size=rows["id"].nunique()), index=rows["id"].unique())
    z = own.loc[some["id"]].to_numpy() + 0.5 * some["treated"] + 0.3 * rng.normal(size=len(some))
    return some.assign(z=z)


def two_markers(rows: pd.DataFrame, second: pd.DataFrame, event, **more) -> JointModel:
    """Both markers in one model; `event` as `JointModel` takes it."""
    markers = {
        "y": LMM("y ~ t + t:treated + (t | id)", data=rows),
        "z": LMM("z ~ treated + (1 | id)", data=second),
    }
    return JointModel(markers, event, time="t", **{"baseline": "exponential"} | more)
