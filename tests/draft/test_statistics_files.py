"""Files of Stata, SPSS, SAS and R: drafted like the tables that were saved in them."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from longsurv.draft import draft_files
from longsurv.errors import DataError

N = 24
RNG = np.random.default_rng(3)
START = pd.Timestamp("2024-01-05") + pd.to_timedelta(RNG.integers(0, 90, N), "D")
LEFT = START + pd.to_timedelta(RNG.integers(4, 28, N), "D")
DIED = np.arange(N) % 3 == 0
TABLE = pd.DataFrame(
    {
        "patid": [f"P{k:03d}" for k in range(N)],
        "arm": np.where(np.arange(N) % 2 == 0, "placebo", "drug"),
        "admission": START,
        "last_seen": LEFT,
        "death": np.where(DIED, "yes", "no"),
        "crp_d0": RNG.lognormal(4, 0.5, N).round(1),
        "crp_d3": RNG.lognormal(3, 0.5, N).round(1),
    }
)


def held_to(files: list[Path], unit: str = "") -> None:
    """The draft is complete, and holds every day and every value."""
    draft = draft_files(files)
    assert draft.complete, draft.open
    cohort = draft.cohort()
    found = cohort.survival_data().set_index("patid")
    whole = TABLE.set_index("patid").loc[found.index]
    days = (whole["last_seen"] - whole["admission"]) / np.timedelta64(1, "D")
    np.testing.assert_allclose(found["exit"], days)
    np.testing.assert_array_equal(found["event"].astype(bool), whole["death"] == "yes")
    assert list(cohort.patients.set_index("patid")["arm"]) == list(whole["arm"])
    values = cohort.measurements.pivot(index="patid", columns=cohort.schema.time, values="value")
    np.testing.assert_allclose(values.loc[whole.index], whole[["crp_d0", "crp_d3"]])
    assert cohort.markers["crp"].unit == unit


def made_again(files: list[Path], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pandas lines make the tidy copy."""
    written = draft_files(files).write(folder / "study.toml")
    again = folder / "again"
    again.mkdir()
    for path in (*files, folder / "study_tidy.py"):
        shutil.copy(path, again)
    monkeypatch.chdir(again)
    runpy.run_path("study_tidy.py")
    for path in written[1:-1]:
        assert (again / path.name).read_text() == path.read_text()


def test_stata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trial.dta"
    labels = {"crp_d0": "CRP (mg/L)", "crp_d3": "CRP (mg/L)", "arm": "Treatment"}
    TABLE.to_stata(path, write_index=False, variable_labels=labels)
    held_to([path], "mg/L")
    made_again([path], tmp_path, monkeypatch)


def test_spss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    path = tmp_path / "trial.sav"
    frame = TABLE.assign(arm=(TABLE["arm"] == "drug").astype(float) + 1)
    pyreadstat.write_sav(
        frame,
        path,
        column_labels=["", "Treatment", "", "", "", "CRP (mg/L)", "CRP (mg/L)"],
        variable_value_labels={"arm": {1: "placebo", 2: "drug"}},
    )
    held_to([path], "mg/L")
    made_again([path], tmp_path, monkeypatch)


def test_sas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    path = tmp_path / "trial.xpt"
    text = {name: TABLE[name].dt.strftime("%Y-%m-%d") for name in ("admission", "last_seen")}
    pyreadstat.write_xport(
        TABLE.assign(**text).rename(columns={"admission": "ADMITTED", "last_seen": "LASTSEEN"}),
        path,
        file_format_version=5,
    )
    held_to([path])
    made_again([path], tmp_path, monkeypatch)


def as_rds(frame: pd.DataFrame) -> str:
    """A data frame as R writes it to a file in words (saveRDS(ascii = TRUE))."""
    out = ["A", "3", "262402", "197888", "5", "UTF-8"]

    def text(word: str) -> None:
        out.extend(["262153", str(len(word)), word])

    def attribute(name: str, value: list[str]) -> None:
        out.extend(["1026", "1"])
        text(name)
        out.extend(["16", str(len(value))])
        for word in value:
            text(word)

    out += ["787", str(frame.shape[1])]
    for name in frame:
        column = frame[name]
        if column.dtype.kind == "O":
            out += ["16", str(len(column))]
            for word in column:
                text(word)
            continue
        dated = column.dtype.kind == "M"
        days = (column - pd.Timestamp(0)) / np.timedelta64(1, "D") if dated else column
        moments = dated and name == "last_seen"
        values = days * 86400 if moments else days
        out += ["782" if dated else "14", str(len(column)), *map(repr, map(float, values))]
        if dated:
            attribute("class", ["POSIXct", "POSIXt"] if moments else ["Date"])
            out.append("254")
    attribute("names", list(frame))
    out += ["1026", "1"]
    text("row.names")
    out += ["13", "2", "NA", str(-len(frame))]
    attribute("class", ["data.frame"])
    out.append("254")
    return "\n".join(out) + "\n"


def test_r(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rdata = pytest.importorskip("rdata")
    path = tmp_path / "trial.rds"
    path.write_text(as_rds(TABLE))
    held_to([path])
    made_again([path], tmp_path, monkeypatch)
    text = {name: TABLE[name].dt.strftime("%Y-%m-%d") for name in ("admission", "last_seen")}
    several = tmp_path / "trial.rda"
    written = TABLE.assign(**text)
    words = written.select_dtypes(exclude=["number", "datetime", "bool"]).columns
    written = written.astype(dict.fromkeys(words, object))  # rdata writes no text of pandas 3
    rdata.write_rda(several, {"trial": written, "note": "no table"})
    held_to([several])


@pytest.mark.parametrize("name, module", [("a.sav", "pyreadstat"), ("a.rds", "rdata")])
def test_a_library_that_is_missing_is_named(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(DataError, match=r'pip install "longsurv\[files\]"'):
        draft_files([tmp_path / name])


@pytest.mark.parametrize(
    "content", [b"", b"x", b"RDX3\nX\n\0\0\0\3", b"\x1f\x8b\x08\0", b"\xfd7zXZ\0", b"A\n3\n26"]
)
@pytest.mark.parametrize(
    "kind, module", [("sav", "pyreadstat"), ("rds", "rdata"), ("rda", "rdata")]
)
def test_a_broken_file_is_named(kind: str, module: str, content: bytes, tmp_path: Path) -> None:
    pytest.importorskip(module)
    (tmp_path / f"a.{kind}").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.{kind}: the file cannot be read"):
        draft_files([tmp_path / f"a.{kind}"])
