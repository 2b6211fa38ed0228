"""Tables read in pieces: mixed models of them are those of the same rows in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_pieces import alike

import longsurv as ls
from longsurv.design.scanned import scan as reader
from longsurv.errors import DataError, EstimationError, FormulaError, LongsurvError
from longsurv.models import GLMM, LMM, JointModel


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    """Measurements of 60 patients in no order, with what files have in them."""
    rng = np.random.default_rng(7)
    n, m = 60, 6
    patient = np.repeat(np.arange(n), m)
    year = np.tile(np.arange(m) * 0.7, n) + 1986.0
    arm, b = rng.integers(0, 2, n), rng.normal(size=(n, 2)) * [1.0, 0.4]
    y = 20.0 + 0.3 * (year - 1986.0) * arm[patient] + b[patient, 0] + b[patient, 1] * (year - 1986)
    data = pd.DataFrame(
        {
            "patient": patient,
            "label": np.array([f"P{i:02d}" for i in range(n)])[patient],
            "year": year,
            "y": y + rng.normal(size=n * m) * 0.5,
            "age": (40.0 + 20.0 * rng.random(n))[patient],
            "arm": np.array(["control", "active"])[arm][patient],
            "stage": rng.integers(1, 5, n)[patient],
            "site": pd.Categorical(np.array(["S", "L", "M"])[patient % 3], ["S", "M", "L"]),
            "smoker": rng.random(n)[patient] > 0.5,
        }
    )
    data.loc[data["patient"].isin([3, 8]), "age"] = np.nan
    data.loc[5:9, "y"] = np.nan
    data["never"] = np.where(data["patient"] == 3, "lost", data["arm"])  # only where age is missing
    data["last"] = np.where(data.index >= len(data) - 20, "late", "soon")
    return data.sample(frac=1.0, random_state=1).reset_index(drop=True)


@pytest.fixture(scope="module")
def folder(visits: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in three files."""
    out = tmp_path_factory.mktemp("visits")
    for k, rows in enumerate(np.array_split(np.arange(len(visits)), 3)):
        visits.iloc[rows].to_parquet(out / f"part{k}.parquet", index=False)
    return out


FORMULAS = [
    "y ~ year * arm + (year | patient)",
    "y ~ year * arm + age + (year | label)",
    "log(y) ~ year + site + (1 | patient) + (0 + year | patient)",
    "y ~ ns(year, df=3) * arm + (1 | patient)",
    "y ~ center(age) + scale(year) + bs(year, df=4) + (year || patient)",
    "y ~ C(stage) + arm:site + (1 | patient)",
    "y ~ C(stage, contr.sum) + smoker + I(age > 50) + (1 | patient)",
    "y ~ year + never + age + (1 | patient)",
    "y ~ last + year + (1 | patient)",
    "y ~ arm + I(arm == 'active') + year + I(2 * year) + (1 | patient)",
    "y ~ arm * never + age + (1 | patient)",
    "y - age ~ 0 + arm + year + (1 + year | patient)",
    "y ~ isin(site, ['S', 'L']) + where(year > 1988, 1, 0) + (1 | patient)",
    "y ~ site + (site | patient)",
    "y ~ 1 + (0 + year | patient)",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_fit_is_that_of_the_rows_in_memory(
    formula: str, visits: pd.DataFrame, folder: Path
) -> None:
    try:
        whole = LMM(formula, visits).fit()
    except LongsurvError as error:
        with pytest.raises(type(error)):
            LMM(formula, ls.scan(folder)).fit()
        return
    pieces = LMM(formula, ls.scan(folder)).fit()
    assert pieces.llf == pytest.approx(whole.llf, rel=1e-10)
    assert pieces.flags == whole.flags
    alike(pieces.tidy(), whole.tidy())
    alike(pieces.variance_table(), whole.variance_table())
    alike(pieces.ranef(), whole.ranef())
    alike(pieces.glance(), whole.glance())


def test_options_and_new_rows(visits: pd.DataFrame, folder: Path) -> None:
    formula = "y ~ year * arm + C(stage) + (year | patient)"
    new = visits.dropna().head(7)
    for method in ("REML", "ML"):
        whole = LMM(formula, visits).fit(method, df="satterthwaite" if method == "REML" else "auto")
        pieces = LMM(formula, ls.scan(str(folder / "*.parquet"))).fit(
            method, df="satterthwaite" if method == "REML" else "auto"
        )
        alike(pieces.predict(new), whole.predict(new))
        alike(pieces.predict(new, by_patient=True), whole.predict(new, by_patient=True))
        alike(pieces.contrast("year"), whole.contrast("year"))


def test_files_rows_and_pieces_do_not_matter(
    visits: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formula = "y ~ ns(year, df=3) + arm * site + age + (year | patient)"
    usual = LMM(formula, visits).fit().tidy()
    visits.iloc[::-1].to_parquet(tmp_path / "one.parquet", row_group_size=50)
    alike(LMM(formula, ls.scan(tmp_path / "one.parquet")).fit().tidy(), usual)
    monkeypatch.setattr(reader, "BATCH", 10_000)
    alike(LMM(formula, ls.scan(tmp_path)).fit().tidy(), usual)
    for name, rows in visits.groupby("site", observed=True):
        (tmp_path / "parts" / f"site={name}").mkdir(parents=True)
        rows.drop(columns="site").to_parquet(tmp_path / "parts" / f"site={name}" / "a.parquet")
    parted = ls.scan(tmp_path / "parts")
    assert "site" in parted
    text = visits.assign(site=visits["site"].astype(str))
    alike(LMM(formula, parted).fit().tidy(), LMM(formula, text).fit().tidy())


def test_whatever_needs_rows_is_refused(visits: pd.DataFrame, folder: Path) -> None:
    data = ls.scan(folder)
    fit = LMM("y ~ year * arm + (year | patient)", data).fit("ML")
    asked = [
        lambda: fit.predict(),
        lambda: fit.residuals(),
        lambda: fit.means("arm"),
        lambda: fit.design.y + 1.0,
        lambda: np.asarray(fit.design.fixed.X),
        lambda: fit.design.group == 3,
        lambda: ls.lrt(LMM("y ~ arm + (1 | patient)", data).fit("ML"), fit),
        lambda: data.iloc[:3],
        lambda: data["y"],
        lambda: LMM("y ~ year + (1 | patient)", data).sample(draws=10, tune=10, chains=1),
        lambda: LMM("y ~ year + (1 | patient)", data, weights="age").fit(),
        lambda: LMM("y ~ year", data, residual=ls.Residual("ar1", "year", "patient")).fit(),
        lambda: LMM("y ~ year + (1 | site / patient)", data).fit(),
        lambda: GLMM("smoker ~ year + (1 | patient)", data, family="bernoulli"),
        lambda: ls.analyses.Mortality(data),
    ]
    for k, ask in enumerate(asked):
        # The first are of results, which say what is missing; the others have reasons of their own.
        with pytest.raises(LongsurvError, match="in memory" if k < 10 else None):
            ask()
    assert len(fit.design.rows) == fit.nobs == visits["y"].notna().sum()


def test_a_specification_is_shown_without_being_read(folder: Path, tmp_path: Path) -> None:
    data = ls.scan(folder)
    assert repr(data) == "Scan(3 files, rows=360)"
    assert repr(LMM("y ~ year + (1 | patient)", data)) == (
        "LMM('y ~ year + (1 | patient)', rows=360)"
    )


def test_mistakes_are_answered(visits: pd.DataFrame, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        ls.scan(tmp_path / "*.parquet")
    with pytest.raises(DataError, match="no Parquet files"):
        ls.scan(tmp_path)
    visits.to_csv(tmp_path / "visits.csv")
    with pytest.raises(DataError, match="Parquet"):
        ls.scan(tmp_path / "visits.csv")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DataError, match="cannot scan"):
        ls.scan(tmp_path / "broken.parquet")
    data = ls.scan(folder)
    with pytest.raises(FormulaError, match="Did you mean 'year'"):
        LMM("y ~ yaer + (1 | patient)", data).fit()
    with pytest.raises(DataError, match=r"zero or a negative number"):
        LMM("log(y - 1000) ~ year + (1 | patient)", data).fit()
    with pytest.raises(DataError, match=r"infinite or undefined"):
        LMM("y ~ log(year - 1986) + (1 | patient)", data).fit()
    with pytest.raises(EstimationError, match="reproduce every measurement"):
        LMM("year ~ year + (1 | patient)", data).fit()
    with pytest.raises(FormulaError, match="twice"):
        LMM("y ~ year + (1 | patient) + (year | patient)", data).fit()


def test_files_must_be_of_one_table(visits: pd.DataFrame, tmp_path: Path) -> None:
    visits.head(50).to_parquet(tmp_path / "a.parquet")
    visits.tail(50).drop(columns="age").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"a\.parquet has columns that .*b\.parquet has not \(age"):
        ls.scan(tmp_path)
    visits.tail(50).assign(age="old").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match="types"):
        ls.scan(tmp_path)
    whole = visits.tail(310).assign(stage=visits["stage"].astype(float))  # goes with integers
    whole.to_parquet(tmp_path / "b.parquet")
    formula = "y ~ C(stage) + (1 | patient)"
    alike(LMM(formula, ls.scan(tmp_path)).fit().tidy(), LMM(formula, visits).fit().tidy())


def test_numbers_as_text_and_dates_are_refused(visits: pd.DataFrame, tmp_path: Path) -> None:
    odd = visits.assign(
        age=visits["age"].round(1).astype(str).where(visits["age"].notna(), None),
        seen=pd.Timestamp("2020-01-01") + pd.to_timedelta(visits["year"], unit="D"),
    )
    odd.to_parquet(tmp_path / "odd.parquet")
    data = ls.scan(tmp_path)
    for right in ("age", "I(age == '50.0')"):
        with pytest.raises(DataError, match="holds numbers as text"):
            LMM(f"y ~ {right} + (1 | patient)", data).fit()
    with pytest.raises(DataError, match="holds dates"):
        LMM("y ~ seen + (1 | patient)", data).fit()


def test_files_that_change_are_noticed(visits: pd.DataFrame, tmp_path: Path) -> None:
    visits.to_parquet(tmp_path / "a.parquet")
    data = ls.scan(tmp_path)
    visits.head(100).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="changed since it was scanned"):
        LMM("y ~ year + (1 | patient)", data).fit()


def test_a_file_given_twice_is_refused(folder: Path) -> None:
    one = folder / "part0.parquet"
    with pytest.raises(DataError, match="is there twice"):
        ls.scan([one, str(folder / ".." / folder.name / "part0.parquet")])


def test_own_functions_see_one_row_at_a_time(visits: pd.DataFrame, folder: Path) -> None:
    data = ls.scan(folder)
    doubled = {"twice": lambda x: 2.0 * np.asarray(x)}
    formula = "twice(y) ~ twice(year) + (1 | patient)"
    alike(
        LMM(formula, data, functions=doubled).fit().tidy(),
        LMM(formula, visits, functions=doubled).fit().tidy(),
    )
    centred = {"less": lambda x: np.asarray(x) - np.mean(x)}
    for formula in ("y ~ less(year) + (1 | patient)", "less(y) ~ year + (1 | patient)",
                    "y ~ ns(less(year), df=3) + (1 | patient)"):  # fmt: skip
        with pytest.raises(FormulaError, match="depend on which rows your function 'less'"):
            LMM(formula, data, functions=centred).fit()


def test_an_identifier_is_no_factor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longsurv.design.scanned.survey.MOST_LEVELS", 20)
    names = [f"n{i}" for i in range(60)]
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"name": names, "id": np.arange(60) // 2, "y": rng.normal(size=60)})
    data.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(FormulaError, match="levels; is it an identifier"):
        LMM("y ~ name + (1 | id)", ls.scan(tmp_path)).fit()


def test_joint_models_read_the_columns_they_need(
    folder: Path, visits: pd.DataFrame, tmp_path: Path
) -> None:
    from longsurv.models import CoxPH

    seen = visits[visits["y"].notna()].assign(time=visits["year"] - 1986.0)
    seen.to_parquet(tmp_path / "seen.parquet", index=False)
    rng = np.random.default_rng(2)
    patients = seen.groupby("patient", as_index=False).agg(
        last=("time", "max"), arm=("arm", "first")
    )
    patients["stop"] = patients["last"] + 0.1 + rng.exponential(2.0, len(patients))
    patients["died"] = rng.integers(0, 2, len(patients))
    patients.to_parquet(tmp_path / "patients.parquet", index=False)

    def joint(data: pd.DataFrame | reader.Scan, people: pd.DataFrame | reader.Scan) -> JointModel:
        death = CoxPH("Surv(stop, died) ~ arm", people)
        growth = LMM("y ~ time + arm + (time | patient)", data)
        return JointModel(growth, death, time="time", baseline="weibull")

    scanned = joint(ls.scan(tmp_path / "seen.parquet"), ls.scan(tmp_path / "patients.parquet"))
    assert "rows={'y': 355" in repr(scanned)
    alike(scanned.fit().tidy(component="all"), joint(seen, patients).fit().tidy(component="all"))
    assert set(scanned.markers["y"].data) == {"y", "time", "arm", "patient"}
