"""The vectorised rows against the scalar ones, and their logarithm against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from longsurv.likelihood.arithmetic.vector_log import log
from longsurv.likelihood.glmm import families
from longsurv.likelihood.glmm.families import at_nodes

ROWS = [
    pytest.param(0, 1.0, 0, [], id="bernoulli-1"),
    pytest.param(0, 0.0, 0, [], id="bernoulli-0"),
    pytest.param(1, 0.0, 0, [-1.0, 0.3, -0.5], id="ordinal-lowest"),
    pytest.param(1, 2.0, 0, [-1.0, 0.3, -0.5], id="ordinal-middle"),
    pytest.param(1, 3.0, 0, [-1.0, 0.3, -0.5], id="ordinal-highest"),
    pytest.param(1, 1.0, 0, [0.3, -40.0, -0.5], id="ordinal-squeezed"),
    pytest.param(2, 0.4, 0, [-0.3], id="exact"),
    pytest.param(2, 0.4, -np.inf, [-0.3], id="left"),
    pytest.param(2, 0.4, np.inf, [-0.3], id="right"),
    pytest.param(2, 0.4, 0.9, [-0.3], id="interval"),
    pytest.param(2, 0.4, 0.02, [-0.3], id="interval-narrow"),
    pytest.param(2, -1.4, 8.0, [-0.3], id="interval-wide"),
    pytest.param(3, 0.4, 0, [-0.3, 0.2], id="student"),
    pytest.param(3, 0.4, 0, [-0.3, 1e-9], id="student-nearly-normal"),
    pytest.param(3, 0.4, 0, [-0.3, 0.0], id="student-normal"),
    pytest.param(4, 0.0, 0, [], id="poisson-0"),
    pytest.param(4, 7.0, 0, [], id="poisson-few"),
    pytest.param(4, 700.0, 0, [], id="poisson"),
    pytest.param(5, 0.0, 0, [0.4], id="nbinom2-0"),
    pytest.param(5, 7.0, 0, [0.4], id="nbinom2-few"),
    pytest.param(5, 700.0, 0, [0.4], id="nbinom2"),
    pytest.param(5, 700.0, 0, [0.0], id="nbinom2-poisson"),
    pytest.param(6, 0.0, 0, [0.4], id="nbinom1-0"),
    pytest.param(6, 7.0, 0, [0.4], id="nbinom1-few"),
    pytest.param(6, 700.0, 0, [0.4], id="nbinom1"),
]


@pytest.mark.parametrize(("code", "y", "extent", "phi"), ROWS)
def test_nodes_have_the_numbers_of_the_rows(code: int, y: float, extent: float, phi: list) -> None:
    par = families.constants(code, np.array(phi), 4 if code == families.ORDINAL else 0)
    at = np.concatenate([np.linspace(-9, 9, 37), [-300.0, 300.0]])
    h, l1, la, lb = np.zeros((4, len(at)))
    h += 1.5
    at_nodes(code, y, extent, at, par, h, l1, la, lb)
    expected = np.array([families.row(code, y, extent, eta, par) for eta in at])
    np.testing.assert_allclose(h, 1.5 + expected[:, 0], rtol=1e-13)
    for ours, column in ((l1, 1), (la, 5), (lb, 8)):
        np.testing.assert_allclose(ours, expected[:, column], rtol=1e-9, atol=1e-13)


def test_logarithm() -> None:
    @njit
    def each(x: np.ndarray) -> np.ndarray:
        out = np.empty_like(x)
        for k in range(len(x)):
            out[k] = log(x[k])
        return out

    rng = np.random.default_rng(1)
    x = np.concatenate(
        [np.exp(rng.uniform(-700, 700, 3000)), rng.uniform(0.4, 3.0, 3000), [1.0, 1 + 1e-15]]
    )
    exact = np.log(x.astype(np.longdouble)).astype(float)
    np.testing.assert_allclose(each(x), exact, rtol=6e-16)
