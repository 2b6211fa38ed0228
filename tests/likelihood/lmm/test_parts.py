"""Sums over patients in parts, and statistics of rows that come in pieces."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from longsurv.likelihood import lmm
from longsurv.likelihood.lmm import parts, streamed
from longsurv.likelihood.lmm.blocks import BlockKernel
from longsurv.likelihood.lmm.parted import PartedKernel, block_kernel_of
from longsurv.likelihood.lmm.sums import by_patient, in_blocks
from longsurv.likelihood.threads import MANY, Threads

type Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def rows_of(n: int, q: int, seed: int = 3) -> Rows:
    """X, y, Z and patient of n patients with one to five rows, in no order."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(n), rng.integers(1, 6, n)))
    t = rng.uniform(0.0, 4.0, len(group))
    X = np.column_stack([np.ones(len(t)), t, (group % 2) * t, rng.normal(size=len(t))])
    Z = X[:, :q] if q < 3 else np.column_stack([X[:, :2], t**2])
    b = rng.normal(size=(n, q)) * [1.0, 0.4, 0.1][:q]
    y = X @ [2.0, 0.3, -0.2, 0.1] + (Z * b[group]).sum(axis=1) + rng.normal(size=len(t))
    return X, y, np.ascontiguousarray(Z), group


@pytest.mark.parametrize(("q", "blocks"), [(1, (1,)), (2, (2,)), (2, (1, 1)), (3, (2, 1))])
def test_parts_add_up_to_the_whole(
    q: int, blocks: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y, Z, group = rows_of(700, q)
    data = lmm.prepare(X, y, Z, group, 700, blocks)
    monkeypatch.setattr(parts, "PART", 128)
    monkeypatch.setattr(parts, "PIECE", 3)
    whole = BlockKernel(data, blocks)
    parted = PartedKernel(data, blocks, None, parts.parts_of(data.blocks, data.patients))
    assert len(parted.parts) == 6
    x = np.where(np.equal(*whole.elements), 0.7, -0.1)
    for reml in (True, False):
        value, gradient = parted.criterion(x, reml)
        known, slope = whole.criterion(x, reml)
        assert value == pytest.approx(known, rel=1e-13)
        np.testing.assert_allclose(gradient, slope, rtol=1e-10, atol=1e-9)
        peak = whole.peak(x, reml)
        assert parted.peak(x, reml).llf == pytest.approx(peak.llf, rel=1e-13)
        np.testing.assert_allclose(parted.peak(x, reml).phi, peak.phi, rtol=1e-10)
        a, b = parted.curvature(peak, reml), whole.curvature(peak, reml)
        for name in ("phi", "P", "Q", "expected", "observed", "total", "shift"):
            size = np.abs(getattr(b, name)).max()
            np.testing.assert_allclose(
                getattr(a, name), getattr(b, name), rtol=1e-9, atol=1e-12 * size
            )
    theta = whole.interior(peak.point.beta, 1.1, x, whole.to)
    value, gradient = parted.loglik(theta)
    known, slope = whole.loglik(theta)
    assert value == pytest.approx(known, rel=1e-13)
    np.testing.assert_allclose(gradient, slope, rtol=1e-10, atol=1e-9)


def test_gradients_are_derivatives() -> None:
    X, y, Z, group = rows_of(300, 2)
    data = lmm.prepare(X, y, Z, group, 300, (2,))
    kernel = PartedKernel(data, (2,), None, parts.parts_of(data.blocks, data.patients))
    x, step = np.array([0.8, 0.1, 0.4]), 1e-6
    theta = kernel.interior(data.beta_ols + 0.1, 0.9, x, kernel.to)
    for function, at in ((lambda v: kernel.criterion(v, True), x), (kernel.loglik, theta)):
        slope = [
            (function(at + step * e)[0] - function(at - step * e)[0]) / (2.0 * step)
            for e in np.eye(len(at))
        ]
        np.testing.assert_allclose(function(at)[1], slope, rtol=2e-6, atol=1e-5)


def test_how_many_compute_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, Z, group = rows_of(900, 2)
    data = lmm.prepare(X, y, Z, group, 900, (2,))
    monkeypatch.setattr(parts, "PART", 64)
    kernel = PartedKernel(data, (2,), None, parts.parts_of(data.blocks, data.patients))
    found = []
    for count in (1, 2, 5, 50):
        at = replace(kernel, computer=Threads(count))
        value, gradient = at.criterion(np.array([0.8, 0.1, 0.4]), True)
        found.append((value, *gradient))
    assert len(set(found)) == 1


def test_few_patients_are_not_parted() -> None:
    X, y, Z, group = rows_of(50, 1)
    data = lmm.prepare(X, y, Z, group, 50, (1,))
    assert type(block_kernel_of(data, (1,))) is BlockKernel
    assert MANY > 1000


def test_blocks_are_undone() -> None:
    values = np.random.default_rng(1).normal(size=(37, 2, 3))
    np.testing.assert_array_equal(by_patient(in_blocks(values), 37), values)


@pytest.mark.parametrize("spilled", [2**40, 0])
@pytest.mark.parametrize(("q", "blocks"), [(1, (1,)), (2, (2,)), (3, (1, 2))])
def test_streamed_statistics_are_those_of_all_rows(
    q: int, blocks: tuple[int, ...], spilled: int
) -> None:
    X, y, Z, group = rows_of(130, q)
    X[:, 1] += 1986.0  # an origin far away
    whole = lmm.prepare(X, y, Z, group, 130, blocks)
    some = np.array_split(np.arange(len(y)), 7)
    pieces = ((X[at], y[at], Z[at], group[at].astype(np.int32)) for at in some)
    triangle = np.linalg.qr(np.column_stack([X, y]), mode="r")
    data, rest = streamed.prepare_streamed(
        pieces, triangle, np.linalg.qr(Z, mode="r"), len(y), 130, blocks, spilled
    )
    residual = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    assert rest == pytest.approx(np.abs(residual).max() / np.abs(y).max(), rel=1e-6)
    a, b = BlockKernel(data, blocks), BlockKernel(whole, blocks)
    x = np.where(np.equal(*a.elements), 0.7, -0.1)
    for reml in (True, False):
        assert a.criterion(x, reml)[0] == pytest.approx(b.criterion(x, reml)[0], rel=1e-11)
        at, known = a.peak(x, reml).point, b.peak(x, reml).point
        np.testing.assert_allclose(at.beta, known.beta, rtol=1e-8)
    for field in fields(data):
        assert getattr(data, field.name) is not None
