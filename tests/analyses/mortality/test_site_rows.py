"""The Cox model with an effect of the site among the methods of mortality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from longsurv import priors as pr
from longsurv.analyses import Mortality
from longsurv.analyses.mortality.rows import Question
from longsurv.analyses.mortality.site_rows import site_rows
from longsurv.cohort import Cohort, Schema
from longsurv.errors import DataError
from longsurv.models import CoxPH
from longsurv.report.sections.mortality_methods import arranged, voting
from longsurv.study.sites import site_words

ONE = {"weak": pr.TREATMENT["weak"]}


@pytest.fixture(scope="module")
def centres(table) -> pd.DataFrame:
    rows = table("centres").rename(columns={"died": "event"})
    return rows.assign(status=rows["event"])


@pytest.fixture(scope="module")
def asked(centres) -> Mortality:
    return Mortality(centres, "arm", float(centres["exit"].max()), adjust="age", site="site")


@pytest.fixture(scope="module")
def found(asked):
    return asked.methods(priors=ONE, draws=100)


def test_the_hazard_ratio_between_patients_of_one_site_is_coxme_s(found, centres, r_results):
    rows = found.table[found.table["world"] == "site"].set_index("engine")
    assert list(rows.index) == ["frequentist", "bayes"]
    ml, bayes = rows.loc["frequentist"], rows.loc["bayes"]
    theirs = r_results("frailty", "coxme entry efron ", "coef")["arm"]
    assert np.log(ml["estimate"]) == pytest.approx(theirs, abs=2e-5)  # as coxme's own tolerance
    fit = CoxPH("Surv(entry, exit, event) ~ arm + age + (1 | site)", centres).fit()
    ratios = fit.hazard_ratios().set_index("term").loc["arm"]
    for ours, own in (("conf_low", "conf_low"), ("conf_high", "conf_high"), ("p_value", "p_value")):
        assert ml[ours] == pytest.approx(ratios[own], rel=1e-8)
    assert np.log(bayes["estimate"]) == pytest.approx(theirs, abs=0.06)
    assert 0.9 < bayes["prob_benefit"] < 1.0
    assert ml["note"] == "effects of 12 sites, of standard deviation 0.591"
    assert "between patients of one site" in ml["estimand"]
    assert (rows["adjusted_for"] == "age").all()


def test_it_has_a_name_of_its_own_in_the_figure(found):
    shown = arranged(found.table, "hazard ratio")
    assert shown["row"].is_unique
    assert {"Cox adjusted, sites", "Cox adjusted, sites, weak prior"} <= set(voting(shown)["row"])


def test_where_it_is_none_it_says_why(centres, asked):
    assert Mortality(centres, "arm", 20.0).cox_sites is None
    assert replace(asked, adjust="age + strata(site)").cox_sites is None  # named already
    with pytest.raises(DataError, match="no column 'clinic' of sites"):
        _ = replace(asked, site="clinic").cox_sites
    apart = centres.assign(hospital=centres["arm"])  # a site is an arm
    other = replace(asked, source=apart, site="hospital")
    question = Question(other.pair, "arm", 41.0, 1, 0, other.counts, 50, 1, 0.95)
    for row in site_rows(question, other.cox_sites, "age"):
        assert not row.answered and np.isnan(row.estimate) and "hospital" in row.note


def test_a_cohort_has_its_own_site(centres):
    schema = Schema(
        patient="id", treatment="arm", reference="0", site="site", exit="exit", status="status",
        event="1", censored="0", horizon=20.0,
    )  # fmt: skip
    people = centres.assign(id=np.arange(len(centres)), entry=0.0)
    people = people.astype({"arm": str, "status": str})
    cohort = Cohort(people[["id", "arm", "site", "exit", "status"]], None, schema)
    asked = Mortality(cohort)
    assert asked.site == "site" and asked.cox_sites is not None
    assert asked.cox_sites.design.sites is not None
    assert len(asked.cox_sites.design.sites.labels) == 12
    words = site_words(cohort, "arm")
    assert "one of the Cox models among the methods" in words and "other models of mort" in words
