"""Residual SDs by group and precision weights, in every kernel, against dense statements."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from longsurv import Residual
from longsurv.models import LMM
from longsurv.models.lmm_climb import term_kernel

DAYS = np.array([0.0, 0.5, 2.0, 3.2])


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """14 patients in 4 sites, with gaps; the arm is the patient's, the laboratory the row's."""
    rng = np.random.default_rng(5)
    keep = rng.random((14, 4)) < 0.8
    keep[:, 1] = True
    patient, visit = np.nonzero(keep)
    n = len(patient)
    return pd.DataFrame(
        {
            "id": patient, "visit": DAYS[visit], "arm": np.array(["a", "b"])[patient % 2],
            "site": np.array(list("wxyz"))[patient // 4], "lab": np.array(["p", "q", "r"])[
                rng.integers(0, 3, n)], "w": rng.uniform(0.3, 4.0, n), "x": rng.normal(size=n),
            "item": rng.integers(0, 5, n),
        }
    ).assign(y=lambda d: d["x"] + rng.normal(size=14)[d["id"]] + rng.normal(size=n)).sample(
        frac=1.0, random_state=1
    )  # fmt: skip


STRUCTURES = [
    ("independent", False, "lab", False),
    ("independent", True, "arm", False),
    ("cs", False, "lab", False),
    ("cs", False, "arm", True),
    ("ar1", True, "arm", True),
    ("exponential", False, "lab", False),
    ("toeplitz", True, "arm", False),
    ("unstructured", True, "arm", False),
    ("unstructured", True, "arm", True),
]


def correlation(kind: str, rho: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Of residuals at some of the visits, from the definition."""
    place = np.searchsorted(DAYS, times)
    lag = np.abs(place[:, None] - place)
    if kind == "independent":
        return np.eye(len(times))
    if kind == "cs":
        return np.where(lag == 0, 1.0, rho[0])
    if kind == "ar1":
        return rho[0] ** lag
    if kind == "exponential":
        return rho[0] ** np.abs(times[:, None] - times)
    if kind == "toeplitz":
        return np.r_[1.0, rho][lag]
    C = np.eye(4)
    C[np.tril_indices(4, -1)] = rho
    C = C + np.tril(C, -1).T
    return C[np.ix_(place, place)]


def residual_covariance(spec: LMM, d: pd.DataFrame, shown: dict[str, float]) -> np.ndarray:
    """Written out from the parameters by name."""
    of = spec.residual
    sd = np.ones(len(d))
    for i, (visit, group) in enumerate(zip(d["visit"], d[of.by], strict=True)):
        sd[i] = shown[f"sigma({f'{visit}, ' if of.heterogeneous else ''}{group})"]
    if spec.weights:
        sd /= np.sqrt(d[spec.weights].to_numpy())
    rhos = {name: v for name, v in shown.items() if name.startswith(("rho", "cor("))}
    R = np.zeros((len(d), len(d)))
    for patient in d["id"].unique():
        at = np.flatnonzero(d["id"] == patient)
        group = d[of.by].iloc[at[0]]
        own = [
            v for n, v in rhos.items() if not of.apart or n.endswith((f"|{group})", f"({group})"))
        ]
        R[np.ix_(at, at)] = correlation(of.kind, np.array(own), d["visit"].to_numpy()[at])
    return R * np.outer(sd, sd)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize(("kind", "het", "by", "apart"), STRUCTURES)
def test_groups(rows, kind, het, by, apart, weights, numeric_gradient):
    residual = Residual(kind, "visit", "id", het, by=by, apart=apart)
    formula = "y ~ x + (1 | id)" if kind == "independent" else "y ~ x"
    spec = LMM(formula, rows, residual, weights=weights)
    kernel, d = term_kernel(spec.design, spec.columns()), spec.data
    rng = np.random.default_rng(2)
    for theta in 0.5 * rng.normal(size=(3, len(kernel.coordinates[0]))):
        value, gradient = kernel.loglik(theta)
        shown = dict(zip(spec.design.variance_names, kernel.natural(theta[None])[0], strict=True))
        V = residual_covariance(spec, d, shown)
        if kind == "independent":
            V += shown["sd(Intercept|id)"] ** 2 * (
                d["id"].to_numpy()[:, None] == d["id"].to_numpy()
            )
        mean = np.column_stack([np.ones(len(d)), d["x"]]) @ theta[:2]
        assert value == pytest.approx(multivariate_normal(mean, V).logpdf(d["y"]), rel=1e-9)
        assert kernel.pointwise(theta[None]).sum() == pytest.approx(value, rel=1e-10)
        slope = numeric_gradient(lambda x: kernel.loglik(x)[0], theta)
        size = np.abs(gradient).max()
        np.testing.assert_allclose(gradient / size, slope / size, rtol=1e-6, atol=1e-8)
    x = 0.4 * rng.normal(size=len(kernel.names))
    for reml in (True, False):
        gradient = kernel.criterion(x, reml)[1]
        slope = numeric_gradient(lambda v, reml=reml: kernel.criterion(v, reml)[0], x)
        np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "formula",
    ["y ~ x + (x | id)", "y ~ x + (1 | site/id)", "y ~ x + (1 | id) + (1 | item)"],
    ids=["sums", "nested", "crossed"],
)
def test_weights(rows, formula):
    """The density, of all rows and unit by unit, and the restricted likelihood."""
    spec = LMM(formula, rows, weights="w")
    kernel, d = spec.sampled, spec.data
    theta = 0.5 * np.random.default_rng(3).normal(size=len(kernel.coordinates[0]))
    point = kernel.point(theta)
    V = np.diag(point.sigma**2 / d["w"].to_numpy())
    for g, D, basis in zip(spec.design.groupings, point.D, kernel.bases, strict=True):
        back = np.linalg.inv(basis)
        same = g.group[:, None] == g.group
        V += same * (g.random.X @ back @ D @ back.T @ g.random.X.T)
    X = spec.design.fixed.X
    expected = multivariate_normal(X @ theta[:2], V).logpdf(d["y"])
    assert kernel.loglik(theta)[0] == pytest.approx(expected, rel=1e-10)
    pointwise = kernel.pointwise(kernel.expand(theta)[None])
    assert pointwise.sum() == pytest.approx(expected, rel=1e-10)
    if "item" in formula:
        W = np.linalg.inv(V)
        e = W @ (d["y"].to_numpy() - X @ theta[:2])
        for k, label in enumerate(spec.design.labels):
            at = d["id"].to_numpy() == label
            C = np.linalg.inv(W[np.ix_(at, at)])
            alone = multivariate_normal(np.zeros(at.sum()), C).logpdf(C @ e[at])
            assert kernel.left_out(theta[None])[0, k] == pytest.approx(alone, rel=1e-9)
    fit = spec.fit(df="normal")
    V = np.diag(fit.sigma**2 / d["w"].to_numpy())
    for g, (D, basis) in zip(spec.design.groupings, fit.own_covariances, strict=True):
        Z = g.random.X @ np.linalg.inv(basis)
        V += (g.group[:, None] == g.group) * (Z @ D @ Z.T)
    W = np.linalg.inv(V)
    information = X.T @ W @ X
    beta = np.linalg.solve(information, X.T @ W @ d["y"])
    r = d["y"] - X @ beta
    restricted = np.linalg.slogdet(V)[1] + r @ W @ r + np.linalg.slogdet(information)[1]
    restricted += (len(r) - 2) * np.log(2 * np.pi)
    np.testing.assert_allclose(fit.coefficients, beta, rtol=1e-9)
    assert fit.llf == pytest.approx(-0.5 * restricted, rel=1e-10)
