"""Cox models of tables read in pieces are those of the same rows in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_pieces import alike

import longsurv as ls
from longsurv.errors import DataError, FormulaError, LongsurvError
from longsurv.models import CoxPH, Hazard


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    """Three hundred patients in no order, with ties and what files have in them."""
    rng = np.random.default_rng(11)
    n = 300
    data = pd.DataFrame(
        {
            "id": rng.permutation(n) // 2,
            "age": 50.0 + 10.0 * rng.normal(size=n) + 1900.0,
            "dose": rng.uniform(0.0, 3.0, n),
            "drug": np.array(["none", "low", "high"])[rng.integers(0, 3, n)],
            "site": np.array(["A", "B", "C", "D"])[rng.integers(0, 4, n)],
            "weight": rng.integers(0, 4, n),
            "share": rng.uniform(0.2, 2.0, n),
            "known": rng.normal(size=n) * 0.2,
            "entry": np.round(rng.uniform(0.0, 2.0, n), 1),
        }
    )
    rate = np.exp(0.03 * (data["age"] - 1950.0) - 0.4 * data["dose"] + (data["drug"] == "low"))
    times = rng.exponential(size=n) / rate * 3.0
    data["time"] = data["entry"] + 0.1 + np.round(np.minimum(times, 6.0), 1)
    data["died"] = (times < 6.0).astype(int)
    data["tall"] = rng.random(n) > 0.5
    data.loc[[4, 40, 200], "dose"] = np.nan
    data.loc[[7, 299], "time"] = np.nan
    data["rare"] = np.where(data.index > n - 25, "seldom", "often")
    data["idle"] = np.where(data["weight"] == 0, "A", np.where(data["tall"], "B", "C"))
    data["of_site"] = data["site"].map({"A": 1.0, "B": 2.0, "C": 2.0, "D": 5.0})
    return data


@pytest.fixture(scope="module")
def folder(patients: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in three files."""
    out = tmp_path_factory.mktemp("patients")
    for k, rows in enumerate(np.array_split(np.arange(len(patients)), 3)):
        patients.iloc[rows].to_parquet(out / f"part{k}.parquet", index=False)
    return out


CASES: list[tuple[str, dict[str, object]]] = [
    ("Surv(time, died) ~ age + dose", {}),
    ("Surv(time, died) ~ age + dose", {"ties": "breslow"}),
    ("Surv(entry, time, died) ~ age * drug + dose", {}),
    ("Surv(time, died) ~ drug + rare + tall + strata(site)", {}),
    ("Surv(entry, time, died) ~ ns(age, df=3) + C(drug) + strata(site, tall)", {}),
    ("Surv(time, died) ~ dose + drug + cluster(id)", {}),
    ("Surv(time, died) ~ dose + drug + offset(known)", {}),
    ("Surv(time, died) ~ dose + offset(2 * known) + strata(rare)", {"weights": "weight"}),
    ("Surv(time, died) ~ dose + age", {"weights": "share"}),
    ("Surv(time, died) ~ idle + ns(age, df=3) + I(weight == 0)", {"weights": "weight"}),
    ("Surv(time, died) ~ drug + I(drug == 'low') + I(2 * dose) + dose", {}),
    ("Surv(time, died) ~ age + I(age**2)", {}),
    ("Surv(time, died) ~ 1", {}),
    ("Surv(time, died) ~ log(dose + 1) + drug:site", {}),
]


@pytest.mark.parametrize(("formula", "options"), CASES, ids=str)
def test_fit_is_that_of_the_rows_in_memory(
    formula: str, options: dict[str, object], patients: pd.DataFrame, folder: Path
) -> None:
    whole = CoxPH(formula, patients, **options).fit()  # type: ignore[arg-type]
    pieces = CoxPH(formula, ls.scan(folder), **options).fit()  # type: ignore[arg-type]
    assert pieces.flags == whole.flags
    assert pieces.llf == pytest.approx(whole.llf, rel=1e-10)
    alike(pieces.tidy(), whole.tidy())
    alike(pieces.glance(), whole.glance())
    new = patients.dropna().query("weight > 0").head(4)
    if whole.names:
        alike(pieces.global_tests(), whole.global_tests())
    alike(pieces.predict(new), whole.predict(new))
    alike(pieces.predict(new, times=[1.0, 3.0]), whole.predict(new, times=[1.0, 3.0]))


def test_firth_profiles_and_other_files(patients: pd.DataFrame, tmp_path: Path) -> None:
    formula = "Surv(time, died) ~ drug + dose"
    patients.sample(frac=1.0, random_state=3).to_parquet(tmp_path / "a.parquet", row_group_size=60)
    for options in ({"penalty": "firth"}, {"intervals": "profile"}):
        whole = CoxPH(formula, patients).fit(**options)
        alike(CoxPH(formula, ls.scan(tmp_path)).fit(**options).tidy(), whole.tidy())


def test_a_hazard_reads_the_columns_it_needs(patients: pd.DataFrame, folder: Path) -> None:
    formula = "Surv(entry, time, died) ~ drug + dose"
    pieces = Hazard(formula, ls.scan(folder), baseline="weibull", patient="id")
    assert set(pieces.data) == {"entry", "time", "died", "drug", "dose", "id"}
    formula = "Surv(time, died) ~ drug + dose"
    whole = Hazard(formula, patients, baseline="weibull").fit()
    fit = Hazard(formula, ls.scan(folder), baseline="weibull").fit()
    alike(fit.tidy(), whole.tidy())
    alike(
        fit.predict(times=[2.0]).reset_index(drop=True),
        whole.predict(times=[2.0])[fit.predict(times=[2.0]).columns].reset_index(drop=True),
    )


def test_whatever_needs_rows_is_refused(folder: Path) -> None:
    data = ls.scan(folder)
    fit = CoxPH("Surv(time, died) ~ dose + drug", data).fit()
    for ask in (
        lambda: fit.predict(),
        lambda: fit.design.fixed.X @ fit.coefficients,
        lambda: fit.residuals("martingale"),
        lambda: CoxPH("Surv(time, died) ~ dose + (1 | site)", data).fit(),
        lambda: CoxPH("Surv(time, died) ~ dose + of_site + strata(site)", data).fit(),
    ):
        with pytest.raises(LongsurvError):
            ask()


def test_mistakes_are_answered(patients: pd.DataFrame, folder: Path, tmp_path: Path) -> None:
    data = ls.scan(folder)
    with pytest.raises(FormulaError, match="Did you mean 'dose'"):
        CoxPH("Surv(time, died) ~ dosis", data).fit()
    odd = patients.assign(died=patients["died"].where(patients.index != 17, 2))
    odd.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"'died' is not 0 or 1.* in 1 row \(index 17\)"):
        CoxPH("Surv(time, died) ~ age", ls.scan(tmp_path)).fit()
    patients.assign(died=0).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no events"):
        CoxPH("Surv(time, died) ~ age", ls.scan(tmp_path)).fit()
    with pytest.raises(DataError, match="infinite or undefined"):
        CoxPH("Surv(time, died) ~ log(dose - 1)", data).fit()
