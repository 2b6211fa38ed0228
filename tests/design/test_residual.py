"""Residual structures on a table: visits, pairs of rows, and what is refused; nested groupings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.design import Residual, mixed_design
from longsurv.design.groupings import crossing
from longsurv.errors import DataError, FormulaError, LongsurvError


@pytest.fixture
def visits():
    return pd.DataFrame(
        {
            "y": [1.0, 3.0, 2.0, 5.0, 4.0, 7.0, 6.0, 9.0, 2.5],
            "visit": [3, 1, 2, 1, 3, 1, 2, 3, 2],
            "day": [9.5, 0.0, 2.0, 0.0, 9.5, 0.0, 2.0, 9.5, 2.0],
            "id": ["b", "b", "b", "a", "a", "c", "c", "c", "d"],
            "site": ["s", "s", "s", "s", "s", "t", "t", "t", "t"],
        }
    )


def built(data, formula="y ~ 1", **how):
    return mixed_design(formula, data, Residual(patient="id", **how), structured=True)


@pytest.mark.parametrize("kind", ["ar1", "toeplitz", "unstructured", "cs"])
def test_pairs_of_visits(visits, kind):
    """Every ordered pair of a patient's rows has the kind of its two visits."""
    design = built(visits, kind=kind, visit="visit")
    found = design.row_pairs
    at = 0
    for patient, rows in visits.iloc[found.order].groupby("id", sort=True):
        n = len(rows)
        kinds = found.kind[at : at + n * n].reshape(n, n)
        at += n * n
        codes = rows["visit"].to_numpy() - 1
        np.testing.assert_array_equal(found.first[kinds], np.tile(codes, (n, 1)).T, err_msg=patient)
        np.testing.assert_array_equal(found.second[kinds], np.tile(codes, (n, 1)))
        np.testing.assert_array_equal(found.lag[kinds], np.abs(codes[:, None] - codes))
    assert at == len(found.kind)


@pytest.mark.parametrize("heterogeneous", [False, True])
def test_pairs_in_time(visits, heterogeneous):
    found = built(visits, kind="exponential", visit="day", heterogeneous=heterogeneous).row_pairs
    at = 0
    for _, rows in visits.iloc[found.order].groupby("id", sort=True):
        day, n = rows["day"].to_numpy(), len(rows)
        kinds = found.kind[at : at + n * n].reshape(n, n)
        np.testing.assert_allclose(found.lag[kinds], np.abs(day[:, None] - day))
        at += n * n


def test_the_order_of_categories_is_the_order_of_visits(visits):
    names = {1: "first", 2: "again", 3: "last"}
    visits["visit"] = pd.Categorical(visits["visit"].map(names), ["first", "again", "last"])
    assert list(built(visits, kind="ar1", visit="visit").residual.levels) == list(names.values())
    visits["visit"] = visits["visit"].astype(str)
    with pytest.raises(DataError, match="order"):
        built(visits, kind="ar1", visit="visit")


def test_names(visits):
    def names(**how):
        return built(visits, visit="visit", **how).variance_names

    assert names(kind="ar1") == ("sigma", "rho")
    assert names(kind="cs", heterogeneous=True) == ("sigma(1)", "sigma(2)", "sigma(3)", "rho")
    assert names(kind="toeplitz") == ("sigma", "cor(lag 1)", "cor(lag 2)")
    assert names(kind="unstructured")[3:] == ("cor(1,2)", "cor(1,3)", "cor(2,3)")
    both = mixed_design(
        "y ~ 1 + (1 | site/id)", visits, Residual("ar1", visit="visit"), structured=True
    )
    assert both.variance_names == ("sigma", "rho", "sd(Intercept|site:id)", "sd(Intercept|site)")


def test_a_missing_visit_leaves_the_row_out(visits):
    visits.loc[3, "visit"] = None
    design = built(visits, kind="unstructured", visit="visit")
    assert design.n_excluded == 1 and 3 not in design.rows


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"kind": "ar2"}, "'ar2'"),
        ({"kind": "ar1"}, "visits"),
        ({"kind": "independent", "heterogeneous": True}, "visits"),
    ],
)
def test_structures_that_make_no_sense(how, message):
    with pytest.raises(LongsurvError, match=message):
        Residual(**how)


def test_a_visit_twice(visits):
    visits.loc[0, "visit"] = 1
    with pytest.raises(DataError, match=r"1 row repeats a visit .* index \[1\]"):
        built(visits, kind="ar1", visit="visit")


def test_one_visit_only(visits):
    with pytest.raises(DataError, match="one value only"):
        built(visits.assign(visit=1), kind="ar1", visit="visit")


def test_times_must_be_numbers(visits):
    visits["day"] = visits["day"].astype(str)
    with pytest.raises(DataError, match="numbers"):
        built(visits, kind="exponential", visit="day")


def test_no_patients(visits):
    with pytest.raises(FormulaError, match="must name the patients"):
        mixed_design("y ~ 1", visits, Residual("ar1", visit="visit"), structured=True)
    with pytest.raises(FormulaError, match="no column 'nobody'"):
        mixed_design("y ~ 1", visits, Residual("cs", patient="nobody"), structured=True)


def test_patients_of_residuals_must_be_the_finest_group(visits):
    with pytest.raises(FormulaError, match="finest"):
        mixed_design("y ~ 1 + (1 | id)", visits, Residual("cs", patient="site"), structured=True)


class TestNested:
    def test_groupings(self, visits):
        d = mixed_design("y ~ 1 + (1 | site/id)", visits, structured=True)
        assert [g.name for g in d.groupings] == ["site:id", "site"] and d.structured
        assert list(d.labels) == ["s:a", "s:b", "t:c", "t:d"]
        assert list(d.labels[d.group]) == list(visits["site"] + ":" + visits["id"])
        assert list(d.outer[0].labels[d.outer[0].group]) == list(visits["site"])

    def test_the_same_label_in_two_sites_is_two_patients(self, visits):
        visits["id"] = visits["id"].replace({"c": "a"})
        assert len(mixed_design("y ~ 1 + (1 | site/id)", visits, structured=True).labels) == 4
        design = mixed_design("y ~ 1 + (1 | site) + (1 | id)", visits, structured=True)
        assert design.crossed and len(design.labels) == 3
        assert crossing(design.terms).words == (
            "1 of 3 values of id are found with several values of site"
        )
        visit = Residual("ar1", "visit", "id")
        with pytest.raises(DataError, match=r"id a belongs to several .*\(1 \| site/id\)"):
            mixed_design("y ~ 1 + (1 | site) + (1 | id)", visits, visit, structured=True)

    def test_residual_patients_without_random_effects(self, visits):
        d = mixed_design(
            "y ~ 1 + (1 | site)", visits, Residual("ar1", "visit", "id"), structured=True
        )
        assert d.group_name == "id" and d.Z.shape == (9, 0)
        assert [g.name for g in d.groupings] == ["site"]

    def test_patients_of_residuals_within_sites(self, visits):
        visits["id"] = visits["id"].replace({"c": "a"})
        with pytest.raises(DataError, match="patient='site:id'"):
            mixed_design(
                "y ~ 1 + (1 | site)", visits, Residual("cs", "visit", "id"), structured=True
            )
        named = Residual("cs", "visit", "site:id")
        d = mixed_design("y ~ 1 + (1 | site)", visits, named, structured=True)
        assert d.group_name == "site:id" and len(d.labels) == 4

    def test_other_models_refuse_them(self, visits):
        with pytest.raises(FormulaError, match="one random term"):
            mixed_design("y ~ 1 + (1 | site/id)", visits)


class TestBlocks:
    def test_terms_of_one_grouping(self, visits):
        d = mixed_design("y ~ day + (1 | id) + (0 + day | id)", visits)
        same = mixed_design("y ~ day + (day || id)", visits)
        assert d.random.blocks == same.random.blocks == (1, 1)
        assert d.random.names == same.random.names == ("Intercept", "day")
        np.testing.assert_array_equal(d.Z, same.Z)
        assert d.variance_names == ("sigma", "sd(Intercept|id)", "sd(day|id)")
        np.testing.assert_array_equal(d.random.rebuild(visits), d.Z)

    def test_a_correlated_block_beside_another(self, visits):
        d = mixed_design("y ~ 1 + (day | id) + (0 + visit | id)", visits)
        assert d.random.blocks == (2, 1)
        assert d.variance_names[4:] == ("cor(Intercept,day|id)",)

    def test_an_effect_twice(self, visits):
        with pytest.raises(FormulaError, match="Intercept twice"):
            mixed_design("y ~ day + (1 | id) + (day | id)", visits)

    def test_missing_values_in_one_term(self, visits):
        visits.loc[2, "visit"] = None
        d = mixed_design("y ~ 1 + (1 | id) + (0 + visit | id)", visits)
        assert d.n_excluded == 1 and d.Z.shape == (8, 2)
