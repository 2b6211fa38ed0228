"""Default priors of factors: every level alike, whichever is the reference."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from longsurv import priors as pr
from longsurv.design.centred import centred
from longsurv.design.fixed import fixed_design
from longsurv.models import GLMM, LMM, CoxPH, Hazard, JointModel, Linear, value
from longsurv.results.prior_share import all_prior


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "id": np.repeat(np.arange(40), 3),
            "t": np.tile([0.0, 1.0, 2.0], 40),
            "g": np.repeat(np.resize(list("aabbbbcddd"), 40), 3),
            "h": np.repeat(np.resize(list("uvw"), 40), 3),
            "a": np.repeat(np.resize([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0], 40), 3),
            "x": rng.normal(size=120) + 50.0,
            "y": rng.normal(size=120),
        }
    )


def covariance(basis: np.ndarray, priors: tuple[pr.Prior, ...]) -> np.ndarray:
    """Of the coefficients as named."""
    back = np.linalg.inv(basis)
    return back @ np.diag([pr.moments(p)[1] ** 2 for p in priors]) @ back.T


def test_differences_from_the_reference_have_the_covariance_of_exchangeable_levels(data) -> None:
    spec = LMM("y ~ g + x + (1 | id)", data)
    stack, k = spec.prior_stack(None), len(spec.design.fixed.names)
    at = [spec.design.fixed.names.index(f"g[T.{level}]") for level in "bcd"]
    found = covariance(stack.whole_basis[:k, :k], stack.priors[:k])[np.ix_(at, at)]
    share = data.drop_duplicates("id")["g"].value_counts(normalize=True)
    s = 2.5 * data["y"].std() / np.sqrt((share * (1 - share)).mean())
    assert found == pytest.approx(s**2 * (np.eye(3) + np.ones((3, 3))) / 2, rel=1e-12)
    for level in "bcd":
        assert stack.describe()[f"g[T.{level}]"] == f"{pr.Normal(0.0, s)} between any two levels"
        assert pr.prior_of(stack, {f"g[T.{level}]": 1.0}).sd == pytest.approx(s, rel=1e-12)
    between = pr.prior_of(stack, {"g[T.c]": 1.0, "g[T.d]": -1.0})
    assert between.sd == pytest.approx(s, rel=1e-12)


FORMULAS = ["g", "g * x", "g * h", "g * a + x", "g * h * x", "0 + g + h", "x + x:g", "bs(t, 3) * g"]


@pytest.mark.parametrize("right", FORMULAS)
def test_the_prior_of_every_prediction_is_the_same_for_every_reference(data, right) -> None:
    variances = []
    for order in ("abcd", "dcba", "cabd"):
        g = pd.Categorical(data["g"], list(order))
        h = pd.Categorical(data["h"], ["w", "u", "v"] if order[0] == "d" else ["u", "v", "w"])
        design, _ = fixed_design(right, frame := data.assign(g=g, h=h))
        found = centred(design, frame)
        basis, _ = pr.centred_basis(found.to, design.names, None, {}, found.alike)
        basis = np.eye(len(found.to)) if basis is None else basis
        scales = tuple(pr.Normal(0.0, float(1.0 / (sd or 1.0))) for sd in found.sd)
        variances.append(design.X @ covariance(basis, scales) @ design.X.T)
        units = tuple(pr.Normal(0.0, float(1.0 / unit)) for unit in found.unit)
        variances.append(design.X @ covariance(basis, units) @ design.X.T)
    for k in (0, 1):
        for other in variances[k + 2 :: 2]:
            np.testing.assert_allclose(other, variances[k], rtol=1e-7, atol=1e-8)


def test_another_coding_of_the_contrasts_is_the_same_prior(data) -> None:
    variances = []
    for factor in ("g", "C(g, contr.sum)", "C(g, contr.treatment('c'))"):
        design, _ = fixed_design(f"{factor} * x", data)
        found = centred(design, data)
        basis, _ = pr.centred_basis(found.to, design.names, None, {}, found.alike)
        scales = tuple(pr.Normal(0.0, float(1.0 / (sd or 1.0))) for sd in found.sd)
        variances.append(design.X @ covariance(basis, scales) @ design.X.T)
    for other in variances[1:]:
        np.testing.assert_allclose(other, variances[0], rtol=1e-7, atol=1e-8)


def test_two_levels_have_the_prior_of_a_number(data) -> None:
    frame = data.assign(b=np.where(data["a"] > 0, "yes", "no"))
    design, _ = fixed_design("b * x", frame)
    as_number, _ = fixed_design("a * x", frame)
    one, two = centred(design, frame), centred(as_number, frame)
    assert one.alike == ()
    np.testing.assert_array_equal(one.to, two.to)
    np.testing.assert_array_equal(one.sd, two.sd)


def test_a_prior_of_the_users_own_leaves_the_others_of_its_factor_independent(data) -> None:
    spec = CoxPH("Surv(t2, died) ~ g * a + h", data.assign(t2=data["t"] + 1, died=1))
    stack = spec.prior_stack({"g[T.b]": pr.Normal(0.2, 0.3)})
    names = list(stack.names)
    found = covariance(stack.whole_basis, stack.priors)
    assert found[names.index("g[T.b]"), names.index("g[T.b]")] == pytest.approx(0.09)
    assert {names[j] for columns, _ in stack.alike for j in columns} == {
        "h[T.v]", "h[T.w]", "g[T.b]:a", "g[T.c]:a", "g[T.d]:a",
    }  # fmt: skip
    centred_row = stack.whole_basis[names.index("g[T.c]")]
    assert centred_row[names.index("g[T.c]")] == 1.0
    assert centred_row[names.index("g[T.d]")] == 0.0
    assert stack.describe()["g[T.b]"] == str(pr.Normal(0.2, 0.3))


def test_an_empty_cell_leaves_the_rest_of_the_product_as_it_is(data) -> None:
    frame = data.query("not (g == 'c' and h == 'w')")
    design, _ = fixed_design("g * h", frame)
    found = centred(design, frame)
    assert design.aliased == ("g[T.c]:h[T.w]",)
    named = [{design.names[j] for j in columns} for columns, _ in found.alike]
    assert {"g[T.b]", "g[T.c]", "g[T.d]"} in named and {"h[T.v]", "h[T.w]"} in named
    assert len(named) == 2


def specifications(data: pd.DataFrame) -> dict[str, object]:
    rng = np.random.default_rng(3)
    people = data.drop_duplicates("id").assign(
        years=np.round(rng.exponential(3.0, 40) + 2.0, 2), died=np.resize([1, 1, 0], 40)
    )
    growth = LMM("y ~ t + g + (1 | id)", data)
    death = CoxPH("Surv(years, died) ~ g", people)
    return {
        "LMM": growth,
        "Linear": Linear("y ~ g * a", people, patient="id"),
        "GLMM": GLMM("y2 ~ g + t + (1 | id)", data.assign(y2=(data["y"] > 0) * 1), "bernoulli"),
        "ordinal": GLMM(
            "y3 ~ g + t + (1 | id)",
            data.assign(y3=pd.cut(data["y"], [-9, -0.5, 0.5, 9], labels=False)), "ordinal",
        ),
        "CoxPH": death,
        "Hazard": Hazard("Surv(years, died) ~ g", people, "weibull", time_varying=["g"]),
        "JointModel": JointModel(growth, death, time="t", link=value("g")),
    }  # fmt: skip


FAMILIES = ("LMM", "Linear", "GLMM", "ordinal", "CoxPH", "Hazard", "JointModel")
TERMS = {"Linear": 2, "Hazard": 2, "JointModel": 3}
"""Terms with the factor, where that is not one."""


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_levels_alike(data, family) -> None:
    spec = specifications(data)[family]
    mixed = spec._mixed if family == "Linear" else spec
    stack = mixed.prior_stack(None, *(2.0, None) * (family == "JointModel"))
    found = covariance(stack.whole_basis, stack.priors)
    terms: dict[str, list[int]] = {}
    for j, name in enumerate(stack.names):
        if "g[T." in name:
            terms.setdefault(re.sub(r"g\[T\..\]", "g", name), []).append(j)
    assert len(terms) == TERMS.get(family, 1)
    for at in terms.values():
        block = found[np.ix_(at, at)]
        assert block == pytest.approx(block[0, 0] * (np.eye(3) + np.ones((3, 3))) / 2, rel=1e-9)
        for j in at:
            own = pr.prior_of(stack, {stack.names[j]: 1.0})
            assert own.sd**2 == pytest.approx(block[0, 0])


def test_the_twin_has_the_same_coefficients(data) -> None:
    spec = specifications(data)["CoxPH"]
    stack, model = spec.prior_stack(None), spec.to_pymc()
    beta = np.array([0.3, -0.2, 0.5])
    phi = stack.whole_basis @ beta
    names = ["g[T.b]", "g[T.c] (levels alike)", "g[T.d] (levels alike)"]
    assert stack.labels == tuple(names) == tuple(v.name for v in model.free_RVs)
    own = model.replace_rvs_by_values([model[f"g[T.{level}]"] for level in "bcd"])
    back = model.compile_fn(own, inputs=model.value_vars, mode="FAST_COMPILE")
    assert back(dict(zip(names, phi, strict=True))) == pytest.approx(beta)


def test_what_the_data_say_nothing_about_is_named_by_its_level() -> None:
    rng = np.random.default_rng(2)
    root = np.linalg.cholesky((np.eye(3) + np.ones((3, 3))) / 2)
    prior = pr.Normal(0.0, 1.0)
    names = ("g[T.b]", "g[T.c]", "g[T.d]")
    stack = pr.PriorStack(
        names, (prior,) * 3, basis=np.linalg.inv(root), alike=(((0, 1, 2), root),)
    )
    for lost in range(3):
        known = [j for j in range(3) if j != lost]
        precision = np.linalg.inv(root @ root.T)
        precision[known, known] += 1e4
        cov = np.linalg.inv(precision)
        drawn = rng.multivariate_normal(np.zeros(3), cov, size=(2, 4000))
        samples = {name: drawn[..., j] for j, name in enumerate(names)}
        assert all_prior(stack, samples, names) == (names[lost],)


def test_a_joint_models_density_is_the_same_for_another_reference(data) -> None:
    one = specifications(data)["JointModel"]
    moved = data.assign(g=pd.Categorical(data["g"], list("cbad")))
    two = specifications(moved)["JointModel"]
    stacks = [spec.prior_stack(None, 2.0, None) for spec in (one, two)]
    names, other = stacks[0].names, list(stacks[1].names)
    to = np.zeros((len(names), len(names)))
    for j, name in enumerate(names):  # what each is in terms of the others' parameters
        level = re.search(r"g\[T\.(.)\]", name)
        if level is None:
            to[other.index(name), j] = 1.0
    for j, name in enumerate(names):
        if not (level := re.search(r"g\[T\.(.)\]", name)):
            continue
        term = name.replace(level[0], "{}")
        at = {k: other.index(term.format(f"g[T.{k}]")) for k in "abd"}
        if level[1] != "c":
            to[at[level[1]], j] = 1.0
            continue
        to[list(at.values()), j] = -1.0
        if held := {"{}": "Intercept", "assoc.value:{}": "assoc.value"}.get(term):
            to[other.index(held), j] = 1.0
    rng = np.random.default_rng(1)
    theta = rng.normal(size=len(names)) * 0.3
    value, gradient = stacks[0].value_and_gradient(theta)
    again, slope = stacks[1].value_and_gradient(to @ theta)
    assert again == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(to.T @ slope, gradient, rtol=1e-7, atol=1e-8)
