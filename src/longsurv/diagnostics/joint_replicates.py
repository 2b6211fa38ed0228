"""Posterior predictive checks of a joint model: would it produce data like these?

Trajectories: the same patients are measured again at the same times, with random effects drawn from
their distribution given all of the patient's data. So the replicates have the dropout of the data,
and what could be wrong is the shape of the curves and of the noise.

Survival: new patients with the same covariates, with random effects drawn from N(0, D), are
followed from the same entries. Those who were censored are censored at the same time; those who had
the event, at a time drawn from the Kaplan-Meier distribution of censoring after their event. With
competing causes the event of a replicate is that of any cause at the sum of their hazards, and of
one of them with the probability of its share in it.

Gelman, Meng & Stern (1996), Stat Sinica 6:733-807.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.design.joint import JointCause
from longsurv.diagnostics.joint_checks import places, sds_and_covariance
from longsurv.diagnostics.replicates import (
    COUNT,
    MEAN_TIME,
    check_options,
    compared,
    course_statistics,
)
from longsurv.errors import LongsurvError
from longsurv.estimands.aalen_johansen import cumulative_incidence
from longsurv.estimands.follow_up import FollowUp
from longsurv.estimands.joint_rows import JointResult, joint_spec
from longsurv.estimands.kaplan_meier import kaplan_meier
from longsurv.likelihood import joint

if TYPE_CHECKING:
    from longsurv.design.joint import JointDesign

PIECES = 24
"""Of follow-up, over which the cumulative hazard is kept; within a piece events are uniform."""


@checked
def predictive_checks(
    posterior: JointResult, *, draws: int = 200, seed: int = 1, level: float = 0.95
) -> pd.DataFrame:
    """Statistics of the data against those of data replicated from the posterior.

    Parameters
    ----------
    posterior : JointPosterior
    draws : int
        Replicates, one for each of so many evenly spaced draws.
    seed : int
    level : float
        Of the equal-tailed intervals of the replicates.

    Returns
    -------
    DataFrame
        part ("marker", or the name of each, and "survival", which is free of any event; with
        competing causes "incidence of" each with its events, their mean time and Aalen-Johansen
        incidences), of ("values" or "events"), statistic, observed, replicated
        (mean), conf_low, conf_high, p_value (share of replicates with at least the observed
        statistic, ties counted half: near 0 or 1 where the model misses something).

    Raises
    ------
    LongsurvError
        For an estimate, or a model with values beyond a limit.
    """
    joint_spec(posterior, "predictive_checks", markers=True, causes=True)
    if posterior.engine != "bayes":
        raise LongsurvError("predictive_checks takes a posterior; use spec.sample()")
    rng = check_options(draws, seed, level)
    design, data = posterior.design, posterior.data
    thetas = posterior.draws.spread(draws)
    survival = SurvivalReplicates(design, data, rng)
    cuts = _cuts(design)
    parts = [marker.name if marker.prefix else "marker" for marker in design.markers]

    def of_markers(values: Sequence[np.ndarray]) -> dict[str, dict[str, float]]:
        return {
            part: marker_statistics(design, k, y)
            for k, (part, y) in enumerate(zip(parts, values, strict=True))
        }

    observed = of_markers([marker.design.y for marker in design.markers])
    names = [cause.name for cause in design.causes]
    events = event_statistics(names, design.entry, design.exit, which_cause(design), cuts)
    observed |= events
    drawn = []
    for theta in thetas:
        one = of_markers(replicate_markers(design, data, theta, rng))
        one |= event_statistics(names, design.entry, *survival.replicate(theta, rng), cuts)
        drawn.append(one)
    return compared(observed, drawn, level, events.keys())


def replicate_markers(
    design: JointDesign, data: joint.JointData, theta: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """New values of each marker's measurements, of the same patients at the same times."""
    mean, cov = joint.random_effects(data, theta)
    sigma, _ = sds_and_covariance(data, theta)
    size = np.trace(cov, axis1=1, axis2=2)[:, None, None]
    half = np.linalg.cholesky(cov + 1e-12 * size * np.eye(data.q))
    b = mean + np.einsum("nqr,nr->nq", half, rng.standard_normal(mean.shape))
    out = []
    for k, (marker, (at_x, at_z)) in enumerate(zip(design.markers, places(data), strict=True)):
        d = marker.design
        own = np.einsum("nq,nq->n", d.Z, b[marker.group][:, at_z])
        noise = sigma[k] * rng.standard_normal(len(d.y))
        out.append(d.fixed.X @ theta[at_x] + own + noise)
    return out


class SurvivalReplicates:
    """Follow-up of new patients with the same covariates.

    Parameters
    ----------
    design : JointDesign
    data : JointData
    rng : Generator
        Draws the times of censoring of those who had the event.
    """

    def __init__(
        self, design: JointDesign, data: joint.JointData, rng: np.random.Generator
    ) -> None:
        self.data = data
        self.entry = np.zeros(len(design.labels)) if design.from_zero else design.entry
        self.observed_from = design.entry
        self.until = censoring_times(design.exit, design.status, rng)
        steps = np.linspace(0.0, 1.0, PIECES + 1)
        self.edges = self.entry[:, None] + (self.until - self.entry)[:, None] * steps
        self.hazards = [
            _CauseHazard.of(design, cause, places(data), self.edges) for cause in design.causes
        ]

    def replicate(
        self, theta: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Exit and event, (N,) each, of one replicate: 0, or 1 and up for the causes in order.

        Parameters
        ----------
        theta : ndarray, shape (d,)
        rng : Generator

        Returns
        -------
        tuple of ndarray, shape (N,)
        """
        _, D = sds_and_covariance(self.data, theta)
        b = rng.multivariate_normal(np.zeros(len(D)), D, len(self.until), method="eigh")
        pieces = np.array([hazard.pieces(theta, b) for hazard in self.hazards])
        n = len(self.until)
        H = np.hstack([np.zeros((n, 1)), np.cumsum(pieces.sum(axis=0), axis=1)])
        target = rng.exponential(size=len(H))
        if (self.entry < self.observed_from).any():
            # Those at risk from 0 are seen only if they live to their entry.
            seen = [np.interp(t, e, h) for t, e, h in zip(self.observed_from, self.edges, H,
                                                          strict=True)]  # fmt: skip
            target = target + np.array(seen)
        event = target < H[:, -1]
        exit = np.array([np.interp(u, h, e) for u, h, e in zip(target, H, self.edges, strict=True)])
        what = event.astype(float)
        if len(self.hazards) > 1:
            # Within a piece every cause keeps its share of the hazard.
            at = np.array([np.searchsorted(h, u) for u, h in zip(target, H, strict=True)]) - 1
            mine = np.cumsum(pieces[:, np.arange(n), np.clip(at, 0, PIECES - 1)], axis=0)
            what = event * (1.0 + (rng.uniform(size=n) * mine[-1] > mine[:-1]).sum(axis=0))
        return np.where(event, exit, self.until), what


@dataclass(frozen=True)
class _CauseHazard:
    """A cause's hazard at points within the pieces of each patient's follow-up.

    Attributes
    ----------
    piece, owner : ndarray of int, shape (G,)
        Piece and patient of each point.
    weight, basis : ndarray, shapes (G,) and (m, G)
    links : list of (marker, x, z, centre)
    places : list of (slice, slice)
        Of each marker's coefficients and effects.
    covariates : ndarray, shape (N, c)
    at : dict of str to ndarray of int
        Where the cause's parameters are in theta.
    """

    piece: np.ndarray
    owner: np.ndarray
    weight: np.ndarray
    basis: np.ndarray
    links: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]
    places: list[tuple[slice, slice]]
    covariates: np.ndarray
    at: dict[str, np.ndarray]

    @classmethod
    def of(
        cls,
        design: JointDesign,
        cause: JointCause,
        where: list[tuple[slice, slice]],
        edges: np.ndarray,
    ) -> _CauseHazard:
        """Of the patients of a design, with the edges (N, PIECES + 1) of their pieces."""
        n = len(edges)
        owner = np.repeat(np.arange(n), PIECES)
        points = design.points(
            cause,
            [marker.curve.patients.iloc[owner] for marker in design.markers],
            cause.rows.iloc[owner],
            edges[:, :-1].ravel(),
            edges[:, 1:].ravel(),
        )
        inner = points.weight > 0
        piece = np.repeat(np.arange(n * PIECES), np.diff(points.start))[inner]
        names = design.theta_names
        return cls(
            piece=piece,
            owner=owner[piece],
            weight=points.weight[inner],
            basis=points.basis[:, inner],
            links=[
                (one.marker, one.x[:, inner], one.z[:, inner], one.centre[inner])
                for one in points.links
            ],
            places=where,
            covariates=cause.covariates,
            at={
                kind: np.array([names.index(name) for name in of], dtype=int)
                for kind, of in (
                    ("baseline", cause.baseline_names),
                    ("covariate", cause.covariate_names),
                    ("link", cause.association_names),
                )
            },
        )

    def pieces(self, theta: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Integrals of the hazard, shape (N, PIECES), given random effects (N, q)."""
        log_h = theta[self.at["baseline"]] @ self.basis
        log_h += (self.covariates @ theta[self.at["covariate"]])[self.owner]
        for alpha, (m, x, z, centre) in zip(theta[self.at["link"]], self.links, strict=True):
            at_x, at_z = self.places[m]
            own = np.einsum("qg,gq->g", z, b[self.owner][:, at_z])
            log_h += alpha * (theta[at_x] @ x + own - centre)
        with np.errstate(over="ignore"):
            hazard = self.weight * np.exp(log_h)
        n = len(b)
        return np.bincount(self.piece, hazard, minlength=n * PIECES).reshape(n, PIECES)


def censoring_times(exit: np.ndarray, status: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where follow-up would have ended without the event, shape (N,).

    Of those censored it is known; others have one drawn from the Kaplan-Meier distribution of
    censoring after their event, the last exit standing in for what is left of it.
    """
    at, count = np.unique(exit[status == 0], return_counts=True)
    at_risk = len(exit) - np.searchsorted(np.sort(exit), at, side="right") + count
    survival = np.cumprod(1.0 - count / at_risk)
    out = exit.astype(float).copy()
    for i in np.flatnonzero(status == 1):
        later = np.searchsorted(at, exit[i], side="left")
        now = survival[later - 1] if later else 1.0
        target = now * rng.uniform()
        k = np.searchsorted(-survival, -target, side="left")
        out[i] = at[k] if k < len(at) else exit.max()
    return np.maximum(out, exit)


def _cuts(design: JointDesign) -> np.ndarray:
    """Times at which survival is compared: quartiles of the event times."""
    times = design.exit[design.status == 1]
    return np.unique(np.quantile(times, [0.25, 0.5, 0.75]))


def which_cause(design: JointDesign) -> np.ndarray:
    """0 for patients censored, 1 and up for the cause of the event, in their order: shape (N,)."""
    return np.sum([k * cause.status for k, cause in enumerate(design.causes, 1)], axis=0)


def event_statistics(
    names: Sequence[str], entry: np.ndarray, exit: np.ndarray, what: np.ndarray, cuts: np.ndarray
) -> dict[str, dict[str, float]]:
    """Statistics by part: "survival", and of several causes "incidence of" each.

    Parameters
    ----------
    names : sequence of str
        The causes.
    entry, exit, what : ndarray, shape (N,)
        `what` is 0, or the place of the cause in `names`, from 1 on.
    cuts : ndarray
        Times of survival and incidence.
    """
    out = {"survival": survival_statistics(entry, exit, (what > 0).astype(float), cuts)}
    if len(names) == 1:
        return out
    follow_up = FollowUp(entry, exit, what.astype(int))
    for k, name in enumerate(names, 1):
        curve, mine = cumulative_incidence(follow_up, k), exit[what == k]
        out[f"incidence of {name}"] = {
            COUNT: float(len(mine)),
            MEAN_TIME: float(mine.mean()) if len(mine) else np.nan,
        } | {f"incidence by {t:.4g}": curve.at(float(t))[0] for t in cuts}
    return out


def survival_statistics(
    entry: np.ndarray, exit: np.ndarray, status: np.ndarray, cuts: np.ndarray
) -> dict[str, float]:
    """Events, their mean time, and Kaplan-Meier survival at some times."""
    curve = kaplan_meier(FollowUp(entry, exit, status.astype(int)))
    survival = curve.at(cuts)[0]
    events = exit[status == 1]
    out = {
        COUNT: float(len(events)),
        MEAN_TIME: float(events.mean()) if len(events) else np.nan,
    }
    return out | {f"survival at {t:.4g}": float(s) for t, s in zip(cuts, survival, strict=True)}


def marker_statistics(design: JointDesign, k: int, y: np.ndarray) -> dict[str, float]:
    """Level, spread, course, shape and link to the event of values y, (n,), of marker k."""
    marker = design.markers[k]
    used = marker.measurements.iloc[marker.design.rows]
    time = used[design.time].to_numpy(dtype=float)
    out = course_statistics(y, marker.group, time)
    order = np.lexsort((time, marker.group))
    group = marker.group[order]
    last = np.r_[group[1:] != group[:-1], True]
    event = design.status[group[last]] == 1
    if 0 < event.sum() < len(event):
        value = y[order][last]
        gap = value[event].mean() - value[~event].mean()
        out["last value, with event less without"] = float(gap)
    return out
