"""Whether measurements can tell the residual variance from that of the random effects.

The covariance of a patient's measurements, Z D Z' + sigma^2 I, is linear in (D, sigma^2). They are
told apart by the data exactly if no combination of these matrices is 0 for every patient, which the
Gram matrix of their inner products, summed over patients, shows. With one measurement a patient, or
visits at the same two times for all with a random slope, one is.
"""

from __future__ import annotations

import numpy as np

from longsurv.likelihood.joint.data import MarkerData

ROUNDING = 1e-9
"""Eigenvalues of the scaled Gram matrix below this are rounding."""


def inseparable(marker: MarkerData) -> str:
    """What leaves the residual variance undetermined, in words; empty where nothing does.

    Parameters
    ----------
    marker : MarkerData
        Values beyond a limit do not count.
    """
    q = marker.q
    rows, columns = np.tril_indices(q)
    # tr(Z E Z' Z F Z') for symmetric E, F from A = Z'Z: sums of products of elements of A.
    gram = np.zeros((len(rows) + 1, len(rows) + 1))
    A = marker.ztz
    for a, (i, j) in enumerate(zip(rows, columns, strict=True)):
        for b, (k, m) in enumerate(zip(rows, columns, strict=True)):
            pairs = A[:, j, k] * A[:, m, i] + A[:, j, m] * A[:, k, i]
            pairs = pairs + A[:, i, k] * A[:, m, j] + A[:, i, m] * A[:, k, j]
            gram[a, b] = pairs.sum() / (1.0 + (i == j)) / (1.0 + (k == m))
        gram[a, -1] = gram[-1, a] = A[:, i, j].sum() * (2.0 - (i == j))
    gram[-1, -1] = marker.nobs
    size = np.sqrt(np.diag(gram))
    if not (size > 0.0).all():
        return "nothing was measured"
    values, vectors = np.linalg.eigh(gram / np.outer(size, size))
    flat = vectors[-1] ** 2 * (values < ROUNDING * values[-1])
    if not flat.max() > ROUNDING:
        return ""
    patients = int((A[:, range(q), range(q)].sum(axis=1) > 0.0).sum())
    return f"{marker.nobs} values of {patients} patients, {q} random effects each"
