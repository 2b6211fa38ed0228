"""Random effects and predictions for patients from posteriors of structured mixed models, against
dense computations draw by draw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.design import Residual
from longsurv.errors import LongsurvError
from longsurv.models import LMM


@pytest.fixture(scope="module")
def nested(table):
    data = table("sites")
    return LMM("y ~ time * treated + (1 | site/id)", data).sample(draws=40, tune=60, chains=2)


@pytest.fixture(scope="module")
def decaying(table):
    data = table("sleepstudy").assign(day=lambda d: d["Days"])
    spec = LMM("Reaction ~ Days + (1 | Subject)", data, residual=Residual("ar1", "day", "Subject"))
    return spec.sample(draws=40, tune=60, chains=2)


def blups(post, parts, R):
    """Mean and covariance of all random effects at every draw, by dense algebra.

    parts is (Z, name of the SD) of each grouping; R(draw) the residual correlation.
    """
    X, y = post.design.fixed.X, post.design.y
    beta = post.coefficients.reshape(-1, X.shape[1])
    Z = np.hstack([z for z, _ in parts])
    for s in range(len(beta)):
        sd = [np.full(z.shape[1], post.samples[name].ravel()[s]) for z, name in parts]
        D = np.diag(np.concatenate(sd) ** 2)
        V = Z @ D @ Z.T + post.samples["sigma"].ravel()[s] ** 2 * R(s)
        gain = D @ Z.T @ np.linalg.inv(V)
        yield gain @ (y - X @ beta[s]), D - gain @ Z @ D, beta[s]


def indicators(codes: np.ndarray) -> np.ndarray:
    return (codes[:, None] == np.unique(codes)).astype(float)


def check(table: pd.DataFrame, states: list) -> None:
    means = np.array([mean for mean, _, _ in states])
    within = np.mean([np.diag(cov) for _, cov, _ in states], axis=0)
    np.testing.assert_allclose(table["estimate"], means.mean(axis=0), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(table["std_error"], np.sqrt(means.var(axis=0) + within), rtol=1e-6)


def nested_states(post) -> list:
    parts = [(indicators(g.group), f"sd(Intercept|{g.name})") for g in post.design.groupings]
    n = len(post.design.y)
    return list(blups(post, parts, lambda s: np.eye(n)))


def test_random_effects_of_nested_groups(nested):
    table = nested.ranef()
    assert list(table["grouping"].unique()) == [g.name for g in nested.design.groupings]
    check(table, nested_states(nested))


def test_random_effects_beside_correlated_residuals(decaying):
    data, rho = decaying.spec.data, next(k for k in decaying.samples if k.startswith("rho"))
    days, subject = data["Days"].to_numpy(), data["Subject"].to_numpy()
    same = subject[:, None] == subject
    lag = np.abs(days[:, None] - days)
    values = decaying.samples[rho].ravel()
    parts = [(indicators(subject), "sd(Intercept|Subject)")]
    check(decaying.ranef(), list(blups(decaying, parts, lambda s: same * values[s] ** lag)))


def test_predictions_for_known_and_new_patients(nested):
    data = nested.spec.data
    new = pd.concat([data.iloc[[0]], data.iloc[[0]].assign(id="new"),
                     data.iloc[[0]].assign(site="new", id="new")], ignore_index=True)  # fmt: skip
    with pytest.raises(LongsurvError, match="has not seen"):
        nested.predict(new, by_patient=True)
    table = nested.predict(new, by_patient=True, new_groups="population")
    x = nested.design.fixed.rebuild(new.iloc[[0]])[0]
    outer = {g.name: g for g in nested.design.groupings}
    sizes = [len(g.labels) for g in nested.design.groupings]
    site = list(outer).index("site")
    start = sum(sizes[:site]) + int(outer["site"].labels.get_indexer(data["site"].iloc[[0]])[0])
    own = 1 - site
    person = sum(sizes[:own]) + int(nested.design.groupings[own].group[0])
    states = nested_states(nested)
    count = len(states)
    known = np.array([x @ b + m[start] + m[person] for m, _, b in states])
    of_site = np.array([x @ b + m[start] for m, _, b in states])
    fixed = np.array([x @ b for _, _, b in states])
    for row, centre in zip(table.itertuples(), (known, of_site, fixed), strict=True):
        # The rest is the noise of one drawn effect a draw.
        assert row.estimate == pytest.approx(centre.mean(), abs=4 * row.std_error / np.sqrt(count))
    spread = table["std_error"].to_numpy()
    assert spread[0] < spread[1] < spread[2]
    cov = np.array([c[np.ix_([start, person], [start, person])].sum() for _, c, _ in states])
    assert spread[0] == pytest.approx(np.sqrt(known.var() + cov.mean()), rel=0.3)
    own_rows = nested.predict(by_patient=True)
    rebuilt = nested.predict(data.iloc[nested.design.rows], by_patient=True)
    np.testing.assert_allclose(own_rows["estimate"], rebuilt["estimate"], rtol=1e-12)


def test_a_model_without_random_effects_has_none(table):
    data = table("visits")
    spec = LMM("y ~ arm", data, residual=Residual("cs", "visit", "patient"))
    post = spec.sample(draws=20, tune=20, chains=1)
    for ask in (post.ranef, lambda: post.predict(by_patient=True)):
        with pytest.raises(LongsurvError, match="no random effects"):
            ask()
    assert len(post.predict()) == len(spec.design.y)
