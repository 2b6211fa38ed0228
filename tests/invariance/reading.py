"""The numbers of an answer, read at fixed places so that no coding can hide in a coefficient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from invariance.case import Answer, Output

from longsurv.inference import posterior as inference
from longsurv.inference.curvature import Whitening
from longsurv.inference.density import LogDensity
from longsurv.inference.sample import Draws
from longsurv.results.posterior import summarise

TEST_COLUMNS = {"df": 5e-3, "p_value": 1e-4}


def weights_at(
    names: Sequence[str], X: np.ndarray, prefix: str = ""
) -> dict[str, dict[str, float]]:
    """The mean at the first place, and its difference at each other one, as weights."""
    rows = {"at 0": X[0]} | {f"{k} - 0": X[k] - X[0] for k in range(1, len(X))}
    return {
        label: {prefix + n: float(w) for n, w in zip(names, row, strict=True) if w != 0.0}
        for label, row in rows.items()
    }


def verdicts(fit: Any) -> Answer:
    """What the result says of itself."""
    return {
        "converged": Output(float(fit.converged)),
        "ok": Output(float(fit.diagnose().ok)),
        "flags": Output(float(len(fit.flags))),
        "nobs": Output(float(fit.nobs)),
    }


def contrasts(
    fit: Any, weights: Mapping[str, Mapping[str, float]], *, response: int = 0, level: bool = False
) -> Answer:
    """Estimate, standard error, df, p and interval of every combination.

    `level` says that the first is a value of the response, which moves with its origin.
    """
    out: Answer = {}
    L = pd.DataFrame(list(weights.values()), index=list(weights), columns=list(fit.names))
    table = fit.contrast(L.fillna(0.0))
    for label, (_, row) in zip(weights, table.iterrows(), strict=True):
        origin = "response" if level and label == "at 0" else ""
        se = float(row["std_error"])
        close = se if np.isfinite(se) else 0.0
        for column in ("estimate", "conf_low", "conf_high"):
            # The interval's width hangs on df, which are held to half a per cent.
            width = 1e-4 if column == "estimate" or not np.isfinite(row["df"]) else 2e-3
            out[f"{label}: {column}"] = Output(
                float(row[column]), response, origin=origin, atol=width * close, rtol=1e-6
            )
        out[f"{label}: std_error"] = Output(se, response, rtol=2e-4)
        if not origin:
            for column, tolerance in TEST_COLUMNS.items():
                value = float(row[column])
                out[f"{label}: {column}"] = Output(value, rtol=tolerance, atol=1e-8)
    return out


def log_det(X: np.ndarray) -> float:
    """Half the log determinant of X'X: what a restricted likelihood has of the columns' units."""
    return float(np.log(np.abs(np.diag(np.linalg.qr(X, mode="r")))).sum())


def numbers(table: pd.DataFrame, columns: Mapping[str, Output], key: Sequence[str] = ()) -> Answer:
    """Columns of a table as outputs, row by row; `columns` holds how each depends on units."""
    out: Answer = {}
    for i, (_, row) in enumerate(table.iterrows()):
        label = ", ".join(str(row[k]) for k in key) or str(i)
        for column, like in columns.items():
            if column in table:
                out[f"{label}: {column}"] = like_but(like, float(row[column]))
    return out


def like_but(like: Output, value: float) -> Output:
    """An output with the units of another."""
    return Output(
        value, like.response, like.time, like.origin, like.density, like.swaps, like.rtol, like.atol
    )


STEP = 1e-3
"""Of the points around the mode, in posterior standard deviations."""


@contextmanager
def around_the_mode() -> Iterator[None]:
    """Let `sample_again` return, in place of draws, points a small step from the mode along each
    column of the whitening: one chain ahead, one back.

    Their mean is the mode, and their differences are the columns of a root of the covariance that
    the sampler starts from: mode and Hessian without Monte Carlo error.
    """

    def sample(density: LogDensity, whitening: Whitening, **how: Any) -> Draws:
        steps = STEP * whitening.factor.T
        theta = np.stack([whitening.centre + steps, whitening.centre - steps])
        lp = np.array([[density(point)[0] for point in chain] for chain in theta])
        stats = {"lp": lp, "energy": -lp, "diverging": np.zeros(lp.shape, dtype=bool)}
        stats |= {name: np.ones(lp.shape) for name in ("step_size", "acceptance_rate")}
        stats |= {name: np.ones(lp.shape, dtype=int) for name in ("n_steps", "tree_depth")}
        return Draws(theta, stats, 0.0, 0, whitening, 1)

    # ArviZ's containers take longer than all the rest, and nothing is read from them.
    with mock.patch.object(inference, "sample_again", sample), mock.patch("arviz_base.from_dict"):
        yield


DRAWS: ContextVar[int] = ContextVar("DRAWS", default=0)
"""Draws a chain that `posterior_at` reads; 0: mode and curvature without any."""
ERRORS = 5.0
"""Monte Carlo standard errors by which two posteriors that are one may differ."""


@contextmanager
def drawn(draws: int) -> Iterator[None]:
    """Let `posterior_at` read posterior means and standard deviations of draws."""
    before = DRAWS.set(draws)
    try:
        yield
    finally:
        DRAWS.reset(before)


def _of_draws(
    post: Any, weights: Mapping[str, Mapping[str, float]], response: int, level: bool
) -> Answer:
    out = {}
    for label, of in weights.items():
        values = np.asarray(sum(w * np.asarray(post.samples[n], float) for n, w in of.items()))
        if values.std() == 0.0:  # no weight but 0
            continue
        told = summarise({label: values}, 0.95).iloc[0]
        sd, error = float(values.std()), ERRORS * np.sqrt(2.0 / float(told["ess_bulk"]))
        origin = "response" if level and label == "at 0" else ""
        mean = Output(float(values.mean()), response, origin=origin, rtol=0.0, atol=error * sd)
        out[f"{label}: posterior mean"] = mean
        out[f"{label}: posterior SD"] = Output(sd, response, rtol=error)
    return out


def posterior_at(
    spec: Any, weights: Mapping[str, Mapping[str, float]], *,
    response: int = 0, level: bool = False, measurements: int = 0, times: int = 0,
    own: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Answer:  # fmt: skip
    """Mode and curvature of the posterior of every combination, and the log evidence.

    `own` turns parameters, shape (..., d), into those whose density the draws report.

    The evidence is Laplace's approximation, which no linear change of the parameters moves: it
    holds the log density at the mode and the Hessian's determinant.
    """
    if DRAWS.get():
        return _of_draws(spec.sample(draws=DRAWS.get(), chains=2), weights, response, level)
    with around_the_mode():
        post = spec.sample(draws=1, tune=1, chains=2)
    ahead, back = post.draws.theta
    _, volume = np.linalg.slogdet((own(ahead) - own(back)) / (2.0 * STEP))
    evidence = float(post.draws.stats["lp"].mean()) + float(volume)
    out = {"log evidence": Output(evidence, measurements, times, density=True, rtol=0.0, atol=1e-3)}
    for label, of in weights.items():
        values = np.zeros(ahead.shape[:1])
        for name, weight in of.items():
            values = values + weight * np.asarray(post.samples[name], dtype=float)
        ahead_of, behind = np.broadcast_to(values, (2, len(ahead)))
        mode = float(values.mean())
        sd = float(np.sqrt(np.sum(((ahead_of - behind) / (2.0 * STEP)) ** 2)))
        origin = "response" if level and label == "at 0" else ""
        out[f"{label}: posterior mode"] = Output(
            mode, response, origin=origin, atol=1e-3 * sd, rtol=1e-6
        )
        out[f"{label}: posterior SD"] = Output(sd, response, rtol=2e-3)
    return out
