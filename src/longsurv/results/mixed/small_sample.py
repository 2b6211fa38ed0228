"""Small-sample reference distributions for the fixed effects of a mixed model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from longsurv.errors import LongsurvError
from longsurv.inference import Flat, identify
from longsurv.likelihood.lmm.curvature import VarianceCurvature
from longsurv.results.reference import (
    NormalReference,
    covariance_of,
    normal_reference,
    root_of,
    wald_f,
)

SMALL_SAMPLE = 200
"""Below this many patients, or groups of another grouping, "auto" means Kenward-Roger."""

type Method = Literal["REML", "ML"]
type DF = Literal["auto", "kenward-roger", "kenward-roger-linear", "satterthwaite", "normal"]


def check_options(method: Method, df: DF) -> None:
    """Refuse degrees of freedom that a method of fitting has not."""
    if method == "ML" and df.startswith("kenward"):
        raise LongsurvError(f"df is Kenward-Roger with REML only, not {df!r} with ML")


@dataclass(frozen=True)
class KenwardRoger:
    """Kenward & Roger's adjusted covariance and scaled F.

    Biometrics 53:983-997 (1997); the formulas' numbering there. With one combination the scale is 1
    and the test is a t test on 2 / A2 degrees of freedom.

    Attributes
    ----------
    cov : ndarray, shape (p, p)
        The adjusted covariance Phi_A of the coefficients.
    unadjusted : ndarray, shape (p, p)
        Phi = (X' V^-1 X)^-1, in the coordinates in which the model was fitted.
    sensitivity : ndarray, shape (m, p, p)
        Phi P_r Phi there: minus the derivative of Phi in each variance parameter.
    W : ndarray, shape (m, m)
        Covariance of the variance parameters, the inverse of their expected information.
    to : ndarray, shape (p, p)
        The coefficients are `to` times those of these coordinates.
    root : ndarray, shape (p, p)
        With cov = root @ root.T.
    """

    cov: np.ndarray
    unadjusted: np.ndarray
    sensitivity: np.ndarray
    W: np.ndarray
    to: np.ndarray
    root: np.ndarray
    method: str = "Kenward-Roger"
    flat: Flat | None = None

    def df(self, row: np.ndarray) -> float:
        """Denominator degrees of freedom of one combination, weights of shape (p,).

        Parameters
        ----------
        row : ndarray, shape (p,)

        Returns
        -------
        float
        """
        if not np.any(row):
            return np.nan
        row = row @ self.to
        slope = np.einsum("j,rjk,k->r", row, self.sensitivity, row)
        variance = float(slope @ self.W @ slope)
        return 2.0 * float(row @ self.unadjusted @ row) ** 2 / variance if variance > 0 else np.nan

    def f_test(self, params: np.ndarray, L: np.ndarray) -> tuple[float, float, float]:
        """Scaled F statistic, numerator and denominator degrees of freedom of L params = 0.

        Parameters
        ----------
        params : ndarray, shape (p,)
        L : ndarray, shape (r, p)

        Returns
        -------
        tuple of float
        """
        statistic, _ = wald_f(L @ params, covariance_of(self, L))
        L = independent_rows(L @ self.to)
        q = len(L)
        theta = L.T @ np.linalg.solve(L @ self.unadjusted @ L.T, L)
        moved = theta @ self.sensitivity
        traces = np.trace(moved, axis1=1, axis2=2)
        A1 = float(traces @ self.W @ traces)
        A2 = float(np.einsum("rs,rjk,skj->", self.W, moved, moved))
        B = (A1 + 6.0 * A2) / (2.0 * q)
        g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
        denominator = 3.0 * q + 2.0 * (1.0 - g)
        c1, c2, c3 = g / denominator, (q - g) / denominator, (q + 2 - g) / denominator
        # rho = V* / (2 E*^2) with E* = 1 / (1 - A2 / q); at q = 1, and wherever V1 vanishes with
        # 1 - A2 / q, their quotient is 1.
        V1, shrink = 1.0 - c2 * B, 1.0 - A2 / q
        quotient = 1.0 if abs(V1) < 1e-10 and abs(shrink) < 1e-10 else shrink / V1
        rho = quotient**2 * (1.0 + c1 * B) / (q * (1.0 - c3 * B))
        df = 4.0 + (q + 2.0) / (q * rho - 1.0)
        scale = 1.0 if abs(df - 2.0) < 1e-2 else df * shrink / (df - 2.0)
        return scale * statistic, float(q), df


@dataclass(frozen=True)
class Satterthwaite:
    """Satterthwaite's degrees of freedom from the observed information of the variances.

    Fai & Cornelius (1996), J Stat Comput Simul 54:363-378, for several combinations, as in
    Kuznetsova, Brockhoff & Christensen (2017), J Stat Softw 82(13).

    Attributes
    ----------
    cov : ndarray, shape (p, p)
        (X' V^-1 X)^-1.
    sensitivity : ndarray, shape (m, p, p)
        In the coordinates in which the model was fitted.
    W : ndarray, shape (m, m)
        Covariance of the variance parameters.
    to : ndarray, shape (p, p)
        The coefficients are `to` times those of these coordinates.
    root : ndarray, shape (p, p)
        With cov = root @ root.T.
    """

    cov: np.ndarray
    sensitivity: np.ndarray
    W: np.ndarray
    to: np.ndarray
    root: np.ndarray
    method: str = "Satterthwaite"
    flat: Flat | None = None

    def df(self, row: np.ndarray) -> float:
        """Denominator degrees of freedom of one combination, weights of shape (p,).

        Parameters
        ----------
        row : ndarray, shape (p,)

        Returns
        -------
        float
        """
        inner = row @ self.to
        slope = np.einsum("j,rjk,k->r", inner, self.sensitivity, inner)
        variance, own = float(slope @ self.W @ slope), row @ self.root
        return 2.0 * float(own @ own) ** 2 / variance if variance > 0 else np.nan

    def f_test(self, params: np.ndarray, L: np.ndarray) -> tuple[float, float, float]:
        """F statistic, numerator and denominator degrees of freedom of L params = 0.

        Parameters
        ----------
        params : ndarray, shape (p,)
        L : ndarray, shape (r, p)

        Returns
        -------
        tuple of float
        """
        values, vectors = np.linalg.eigh(covariance_of(self, L))
        keep = values > 1e-8 * values[-1]
        rows = vectors[:, keep].T @ L
        t2 = (rows @ params) ** 2 / values[keep]
        rank = float(keep.sum())
        df = np.array([self.df(row) for row in rows])
        if rank == 1:
            return float(t2[0]), 1.0, float(df[0])
        useful = df[df > 2.0]
        expected = float(np.sum(useful / (useful - 2.0)))
        denominator = 2.0 * expected / (expected - rank) if expected > rank else 2.0
        return float(t2.sum() / rank), rank, denominator


def independent_rows(L: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the rows of L, so that repeated or dependent rows count once."""
    _, values, vectors = np.linalg.svd(L, full_matrices=False)
    return vectors[values > 1e-10 * values[0]]


type MixedReference = NormalReference | KenwardRoger | Satterthwaite


def resolve_df(df: str, reml: bool, fewest: int) -> str:
    """What "auto" means for a fit whose grouping with the fewest groups has so many."""
    if df != "auto":
        return df
    if not reml:
        return "normal"
    return "kenward-roger" if fewest < SMALL_SAMPLE else "satterthwaite"


def small_sample(df: str, curvature: VarianceCurvature, to_beta: np.ndarray) -> MixedReference:
    """The reference distribution of the coefficients, to_beta (p, p) times the curvature's."""
    if df == "satterthwaite":
        return satterthwaite(curvature, to_beta)
    if df == "normal":
        return normal_reference(curvature.phi, to_beta)
    if df == "kenward-roger":
        return kenward_roger(curvature, to_beta, curvature.R)
    linear = kenward_roger(curvature, to_beta)
    # Without second derivatives the two are one.
    return linear if curvature.R is None else replace(linear, method="Kenward-Roger-linear")


def kenward_roger(
    curvature: VarianceCurvature, to_beta: np.ndarray, second: np.ndarray | None = None
) -> KenwardRoger:
    """Reference distribution from the curvature.

    Parameters
    ----------
    curvature : VarianceCurvature
    to_beta : ndarray, shape (p, p)
        Maps its coefficients to the model's.
    second : ndarray, shape (m, m, p, p), optional
        Kenward and Roger's R_rs, of the second derivatives of V where it is not linear in its
        parameters. The adjustment depends on the parameters chosen if these are kept.
    """
    phi, P, Q = curvature.phi, curvature.P, curvature.Q
    W = identify(curvature.expected, rounding=1e-11 * curvature.total).cov
    terms = Q - np.einsum("rja,ab,sbk->rsjk", P, phi, P)
    if second is not None:
        terms = terms - 0.25 * second
    inner = np.einsum("rs,rsjk->jk", W, terms)
    inner = 0.5 * (inner + inner.T)
    adjusted = phi + 2.0 * phi @ inner @ phi

    root = root_of(adjusted, to_beta)
    return KenwardRoger(root @ root.T, phi, phi @ P @ phi, W, to_beta, root)


def satterthwaite(curvature: VarianceCurvature, to_beta: np.ndarray) -> Satterthwaite:
    """Reference distribution from the curvature; to_beta (p, p) maps to the coefficients."""
    phi, P = curvature.phi, curvature.P
    W = identify(curvature.observed, rounding=1e-11 * curvature.total).cov
    root = root_of(phi, to_beta)
    return Satterthwaite(root @ root.T, phi @ P @ phi, W, to_beta, root)
