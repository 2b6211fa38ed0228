"""Where the climb of a joint model starts.

The markers start from their mixed models alone, the hazards from a second stage in which the
predicted curves of these stand for the true ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
from scipy.linalg import block_diag

from longsurv.design.joint import JointCause, JointDesign
from longsurv.inference import Affine, maximise
from longsurv.likelihood.arithmetic.covariance import covariance, partial_correlations
from longsurv.likelihood.joint.coordinates import blocks
from longsurv.likelihood.joint.loglik import JointData
from longsurv.likelihood.lmm.patients import random_effects
from longsurv.likelihood.lmm.statistics import LMMData
from longsurv.models.glmm import GLMM
from longsurv.models.joint_expected import ExpectedEvents, HazardColumns
from longsurv.models.lmm import LMM
from longsurv.results.mixed.estimate import MixedEstimate

SAME = 1e-6
"""Of a marker's SD: links that differ less between patients are the same."""
LOOSE = 5.0
"""SD, per SD of a column, that keeps the second stage finite where the data do not."""
FEW_EVENTS = 30
"""Of a cause: with more, its hazard's posterior is near normal without `ExpectedEvents`."""


def markers_alone(specs: Iterable[LMM | GLMM], design: JointDesign) -> tuple[MixedEstimate, ...]:
    """Each marker's mixed model by maximum likelihood; values beyond a limit count as the limit."""
    out = []
    for spec, marker in zip(specs, design.markers, strict=True):
        if not (isinstance(spec, LMM) and spec.data is marker.measurements):
            spec = LMM(spec.formula, marker.measurements, functions=spec.functions)
        out.append(spec.fit(method="ML", df="normal"))
    return tuple(out)


def predicted(
    alone: tuple[MixedEstimate, ...], design: JointDesign
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Coefficients of each marker alone, and its random effects of all patients, (N, q)."""
    effects = []
    for fit, marker in zip(alone, design.markers, strict=True):
        b = np.zeros((len(design.labels), len(marker.design.random.names)))
        at = design.labels.get_indexer(fit.design.labels)
        b[at] = random_effects(cast(LMMData, fit.data), fit.lam, fit.sigma, fit.coefficients).mean
        effects.append(b)
    return [fit.coefficients for fit in alone], effects


def link_sd(alone: tuple[MixedEstimate, ...], design: JointDesign) -> dict[str, float]:
    """SD of each link across patients at their exit, as the mixed models alone predict them.

    Of a link that is the same for all, what counts as much instead: an SD of the marker, over the
    whole of follow-up.
    """
    beta, b = predicted(alone, design)
    horizon = float(design.exit.max() - design.entry.min())
    per = {"value": 1.0, "slope": 1.0 / horizon, "area": horizon}
    out = {}
    for cause in design.causes:
        last = cause.points.start[:-1]
        links = cause.link_values(beta, b)
        for one, values in zip(cause.associations, links, strict=True):
            usual = float(design.markers[one.marker].design.y.std()) * per[one.kind] or 1.0
            sd = float(values[last].std())
            out[one.term] = sd if sd > SAME * usual else usual
    return out


def coordinates(design: JointDesign, data: JointData, sizes: dict[str, float]) -> Affine:
    """Where to climb: no unit and no origin of a marker, a covariate or time is left in them."""
    levels = [cause.constant(np.log(cause.rate)) for cause in design.causes]
    links = [np.array([sizes[term] for term in c.association_names]) for c in design.causes]
    return Affine.of_blocks(blocks(data, levels, links))


def start(alone: tuple[MixedEstimate, ...], design: JointDesign, data: JointData) -> np.ndarray:
    """Parameter vector of the mixed models alone, uncorrelated, and of the second stage."""
    beta, log_sigma, log_tau, correlation = [], [], [], []
    for fit, marker in zip(alone, data.markers, strict=True):
        parts = fit.kernel.interior(fit.coefficients, fit.sigma, fit.optimum.x)
        p, q = marker.p, marker.q
        beta.append(parts[:p])
        log_sigma.append(parts[p : p + 1])
        log_tau.append(parts[p + 1 : p + 1 + q])
        correlation.append(covariance(np.ones(q), parts[p + 1 + q :]))
    z = partial_correlations(block_diag(*correlation))
    curves = predicted(alone, design)
    hazards = [_second_stage(cause, cause.link_values(*curves)) for cause in design.causes]
    return np.concatenate([*beta, *log_sigma, *log_tau, z, *hazards])


def _second_stage(cause: JointCause, links: list[np.ndarray]) -> np.ndarray:
    """Parameters of a cause's hazard where the links, (G,) each, are known."""
    pt, A = cause.points, _columns(cause, links)
    events = cause.status @ A[pt.start[:-1]]
    first = np.zeros(A.shape[1])
    first[: len(pt.basis)] = cause.constant(np.log(cause.rate))
    hold = (np.sqrt(np.mean((A - A.mean(axis=0)) ** 2, axis=0)) / LOOSE) ** 2
    hold[: len(pt.basis)] = LOOSE**-2

    def second_order(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        h = pt.weight * np.exp(A @ x)
        gap = x - first
        value = float(events @ x - h.sum() - 0.5 * hold @ gap**2)
        return value, events - h @ A - hold * gap, -(A.T * h) @ A - np.diag(hold)

    def density(x: np.ndarray) -> tuple[float, np.ndarray]:
        return second_order(x)[:2]

    return maximise(density, first, second_order=second_order).x


def _columns(cause: JointCause, links: list[np.ndarray]) -> np.ndarray:
    """Baseline, covariates and links at every point, shape (G, k)."""
    pt = cause.points
    owner = np.repeat(np.arange(len(cause.status)), np.diff(pt.start))
    return np.column_stack([pt.basis.T, *cause.covariates.T[:, owner], *links])


def expected_events(
    alone: tuple[MixedEstimate, ...], design: JointDesign, data: JointData
) -> ExpectedEvents:
    """Coordinates for the chains in which the hazards of few events do not bend; those of causes
    with many are near normal as they are."""
    curves, causes, start = predicted(alone, design), [], data.n_marker
    for cause in design.causes:
        columns = _columns(cause, cause.link_values(*curves))
        inside = cause.points.weight > 0.0
        level = np.zeros(columns.shape[1])
        level[: len(cause.points.basis)] = cause.constant(1.0) - cause.constant(0.0)
        if cause.status.sum() < FEW_EVENTS:
            within = np.ascontiguousarray(columns[inside])
            causes.append(HazardColumns(within, cause.points.weight[inside], level, start))
        start += columns.shape[1]
    return ExpectedEvents(tuple(causes))
