"""What the data of a mixed model do not determine: variances first, then what depends on them.

Which combinations of variances the data cannot tell apart is a matter of the design: with one
centre a treatment the centres' variance is in no contrast of the data, and with one row a patient
only the sum of the patients' variance and the residual one is. Where a coefficient's standard error
changes along such a direction, it has none; where it does not, as that of a mean of one row a
patient, it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from longsurv.design import MixedDesign
from longsurv.inference import Flat, Optimum, identify
from longsurv.likelihood.lmm.curvature import VarianceCurvature
from longsurv.likelihood.lmm.dense.kernel import DenseKernel
from longsurv.likelihood.lmm.kernel import MixedKernel

MOVES = 1e-6
"""Relative change of a coefficient's variance along a direction, from which on it depends on it."""


@dataclass(frozen=True)
class FlatDirections:
    """Directions that the data say nothing of.

    Attributes
    ----------
    variances : Flat
        Of the variance parameters in the kernel's columns.
    coefficients : Flat or None
        Of the coefficients; None where all are determined.
    """

    variances: Flat
    coefficients: Flat | None

    def optimum(self, found: Optimum, names: Sequence[str]) -> Optimum:
        """The record of the climb, which ended on a ridge if a variance is not determined.

        Parameters
        ----------
        found : Optimum
            As the climb left it.
        names : sequence of str
            Variance parameters that are not determined.

        Returns
        -------
        Optimum
        """
        if not self.variances:
            return found
        listed = ", ".join(names) or "the variances"
        return replace(found, status=f"the data do not determine {listed}")

    def flags(self, coefficients: Sequence[str], variances: Sequence[str]) -> tuple[str, ...]:
        """In words: `coefficients` and `variances` by name, those without an answer.

        Parameters
        ----------
        coefficients, variances : sequence of str

        Returns
        -------
        tuple of str
        """
        out = []
        if self.variances:
            lost = ", ".join(variances) or "a combination of variances"
            out.append(
                f"Not determined by the data: {lost}. Other values of these, which the model "
                "tells apart, describe the data equally well; a simpler random part or residual "
                "structure is needed."
            )
        if coefficients:
            out.append(
                f"Not determined by the data: the uncertainty of {', '.join(coefficients)}. It "
                "depends on those variances, so there is no estimate to rely on."
            )
        return tuple(out)


def undetermined(curvature: VarianceCurvature, to_beta: np.ndarray) -> FlatDirections:
    """Flat directions at an estimate.

    Parameters
    ----------
    curvature : VarianceCurvature
    to_beta : ndarray, shape (p, p)
        Maps its coefficients to the model's.
    """
    total = curvature.total
    found = identify(curvature.expected, rounding=1e-11 * total)
    size = 1.0 / np.sqrt(np.where(total > 0.0, total, 1.0))
    flat = Flat(found.flat.directions, size)
    if not flat:
        return FlatDirections(Flat.none(len(total)), None)
    values, vectors = np.linalg.eigh(curvature.phi)
    root = (vectors * np.sqrt(values)) @ vectors.T
    inverse = (vectors / np.sqrt(values)) @ vectors.T
    moved = []
    for direction in flat.directions.T:
        step = direction / np.abs(direction / size).max()
        change = np.tensordot(step, curvature.P, axes=1)
        size_of, along = np.linalg.eigh(root @ change @ root)
        moved.append(root @ along[:, np.abs(size_of) > MOVES])
        shift = step @ curvature.shift
        if np.linalg.norm(inverse @ shift) > MOVES:
            moved.append(shift[:, None])
    directions = to_beta @ np.hstack(moved)
    scale = np.sqrt(np.einsum("ij,jk,ik->i", to_beta, curvature.phi, to_beta))
    return FlatDirections(flat, Flat(directions, scale) if directions.shape[1] else None)


SMALLEST_SD = 1e-6
"""Of a visit's residual SD over the largest: below, its measurements are reproduced exactly."""
SINGULAR = 1e-7
"""Of the least eigenvalue of a patient's residual correlations: then some determine others."""


def degenerate(
    design: MixedDesign, kernel: MixedKernel, optimum: Optimum, reml: bool
) -> str | None:
    """Why the likelihood has no maximum, in words, where a climb ran into a singular residual
    covariance: there the density of the data is infinite."""
    if design.residual is None or not isinstance(kernel, DenseKernel):
        return None
    _, psi = kernel.split(optimum.x)
    structure, levels = kernel.data.structure, design.residual.levels
    log_sd = np.concatenate([[0.0], psi[: structure.n_ratios]])
    small = log_sd < log_sd.max() + np.log(SMALLEST_SD)
    if not optimum.converged and not small.any():
        small = _vanishing(kernel, optimum.x, reml)
    if small.any() and not small.all():
        cells = ", ".join(c for c, s in zip(design.residual.cells, small, strict=True) if s)
        by = design.residual.spec.by
        where = f"at visit {cells}" if by is None else f"of {by} {cells}"
        return (
            f"the model reproduces every measurement {where}, whose residual variance is then 0 "
            "(as at the baseline of a change from baseline): leave those rows out, or give all "
            f"{'visits' if by is None else 'groups'} one variance"
        )
    if not np.isfinite(psi).all() or _singular(
        structure.natural(psi[structure.n_ratios :]), kernel
    ):
        return (
            f"{len(design.labels)} patients are too few for the residual structure "
            f"{structure.kind.name!r} of {len(levels)} visits: residuals of some visits determine "
            "those of others, and the likelihood grows without end; a structure with fewer "
            "parameters is needed"
        )
    return None


def _vanishing(kernel: DenseKernel, x: np.ndarray, reml: bool) -> np.ndarray:
    """Which residual SDs the likelihood draws to 0, one at a time, from x, shape (cells,): it rises
    and goes on rising as one of them is divided by e^4 and by e^8."""
    structure = kernel.data.structure
    first = len(x) - structure.size
    ratios = slice(first, first + structure.n_ratios)
    heights = np.empty((structure.n_cells, 3))
    for cell in range(structure.n_cells):
        for k, down in enumerate((0.0, 4.0, 8.0)):
            log_sd = np.concatenate([[0.0], x[ratios]])
            log_sd[cell] -= down
            moved = x.copy()
            moved[ratios] = log_sd[1:] - log_sd[0]
            try:
                heights[cell, k] = kernel.criterion(moved, reml)[0]
            except np.linalg.LinAlgError:
                heights[cell, k] = -np.inf
    return (heights[:, 1:] > heights[:, :-1] + 1.0).all(axis=1)


def _singular(rho: np.ndarray, kernel: DenseKernel) -> bool:
    """Whether the residuals of a patient with the most rows determine one another, of those who
    share their correlations."""
    structure = kernel.data.structure
    correlation = structure.correlation(rho)
    kind, rows, first, *_ = kernel.data.indices
    sizes = np.diff(rows)
    for block in range(structure.n_blocks):
        mine = np.broadcast_to(structure.chosen(block), correlation.shape)[kind[first[:-1]]] > 0.0
        most = int(np.where(mine, sizes, 0).argmax())
        C = correlation[kind[first[most] : first[most + 1]]].reshape(sizes[most], sizes[most])
        if np.linalg.eigvalsh(C)[0] < SINGULAR:
            return True
    return False


def _may_repeat(values: np.ndarray, times: int) -> bool:
    """Whether some value may be there so many times; where it is, the answer is yes.

    Equal numbers fall into one of 65,536 bins, which takes a tenth of the time of sorting them.
    """
    bits = (values + 0.0).view(np.uint64)  # + 0.0, as -0.0 equals 0.0 and has other bits
    bins = (bits * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(48)
    return bool(np.bincount(bins.astype(np.int64)).max() >= times)


def constant_rows(design: MixedDesign) -> tuple[str, ...]:
    """A note on rows that are the same for all patients, as a change from baseline at baseline."""
    if not design.in_memory:
        return ()
    fewest = max(3, math.ceil(0.9 * len(design.labels)))
    if not _may_repeat(design.y, fewest):
        return ()
    values, where, counts = np.unique(design.y, return_inverse=True, return_counts=True)
    most = int(np.argmax(counts))
    rows = np.flatnonzero(where == most)
    patients = len(np.unique(design.group[rows]))
    others = len(design.y) - len(rows)
    once = patients == len(rows) >= fewest
    if not once or others == 0 or len(values) - 1 < 0.5 * others:
        return ()
    return (
        f"The response is exactly {values[most]:g} in one row of {patients} of "
        f"{len(design.labels)} patients, as a change from baseline is at baseline. Those rows say "
        "nothing of the course and make the measurements look less variable than they are: leave "
        "them out, and adjust for the baseline value instead.",
    )
