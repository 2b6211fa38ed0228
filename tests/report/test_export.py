from __future__ import annotations

import ast
import itertools
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import longsurv
from longsurv.errors import LongsurvError
from longsurv.report.content import Heading, content
from longsurv.report.export import export, file_name
from longsurv.report.folder import dictionary, folder_tables
from longsurv.report.sections import SECTIONS
from longsurv.report.word import APPENDIX, png
from longsurv.report.words_of_columns import WORDS
from longsurv.study import StudyResults
from longsurv.tables.display import DisplayTable
from longsurv.tables.escape import printable

SOURCE = Path(longsurv.__file__).parent
LONGER = "restricted mean difference"
PROBABILITIES = {
    "prob_positive", "prior_prob_positive", "prob_benefit", "prior_prob_benefit", "prob_benefit_1",
    "prob_benefit_5", "prob_benefit_bayes", "prob_benefit_shrunken",
    "prob_relevant",  # the explorer's, of a difference that matters
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def small_pictures() -> Iterator[None]:
    """Pictures of few pixels, for speed: nothing is read off them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("word", "painting"):
            patch.setattr(f"longsurv.report.{module}.png", partial(png, dpi=20))
        yield


@pytest.fixture(scope="module")
def folder(results: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(results, tmp_path_factory.mktemp("out") / "results")


def test_every_table_comes_back_from_its_csv(folder: Path, results: StudyResults) -> None:
    tables = folder_tables(results)
    assert set(results.tables) < set(tables)
    for name, table in tables.items():
        path = folder / "tables" / f"{name}.csv"
        again = pd.read_csv(path, keep_default_na=False) if len(table.columns) else table
        assert list(again.columns) == [str(c) for c in table.columns]
        assert len(again) == len(table)
    changes = pd.read_csv(folder / "tables" / "changes.csv")
    np.testing.assert_allclose(changes["estimate"], results.changes["estimate"])


def test_every_column_of_every_table_is_in_the_dictionary(
    folder: Path, results: StudyResults, over_time: StudyResults
) -> None:
    read = pd.read_csv(folder / "dictionary.csv")
    assert read["words"].str.len().min() > 5
    files = {path.stem for path in (folder / "tables").iterdir()}
    assert set(read["table"]) == {n for n in files if len(folder_tables(results)[n].columns)}
    for one in (results, over_time):
        tables = folder_tables(one)
        words = dictionary(tables)
        assert len(words) == sum(len(table.columns) for table in tables.values())
        assert words.loc[words["words"] == "", ["table", "column"]].to_numpy().tolist() == []
    unused = set(WORDS) - {c for t in folder_tables(results).values() for c in t.columns}
    assert len(unused) < 40, "words of columns that no table has"


def test_a_run_without_a_stage_has_a_folder_too(results: StudyResults) -> None:
    """As a quick one is."""
    needed = {name: results.parts[name] for name in ("markers", "mortality")}
    tables = folder_tables(replace(results, parts=needed))
    assert "predictive_checks" not in tables and len(tables["changes"])


def test_a_probability_has_one_of_two_names(results: StudyResults) -> None:
    """In the tables of a study, and wherever the package writes of a column."""
    names = {
        str(column) for table in folder_tables(results).values() for column in table.columns
        if "prob_" in str(column)
    }  # fmt: skip
    assert {"prob_positive", "prob_benefit"} <= names <= PROBABILITIES
    for file in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        written = re.findall(r"\b(?:prior_)?prob_\w*[a-z0-9]", "\n".join(map(str, texts)))
        assert set(written) <= PROBABILITIES, file


def test_a_probability_goes_with_its_estimate(results: StudyResults) -> None:
    """Benefit is a lower risk, or more time alive; positive is more of whatever it is."""
    tables = folder_tables(results)
    table = tables["mortality_methods"]
    table = table[table["quantity"].isin(["risk difference", LONGER])]
    more = table["prob_benefit"].where(table["quantity"] == LONGER, 1 - table["prob_benefit"])
    assert _with_the_sign(table["estimate"], more) > 3
    found = tables["cumulative_incidence"]
    found = found[found["quantity"] == "risk difference"]
    assert _with_the_sign(found["estimate"], found["prob_positive"]) > 0
    grid = tables["prior_grid"]
    assert _with_the_sign(np.log(grid["hr"]), grid["prob_positive"]) > 3
    assert _with_the_sign(-grid["risk_difference"], grid["prob_benefit"]) > 3


def _with_the_sign(estimate: pd.Series, probability: pd.Series) -> int:
    """How many probabilities are far enough from a half to know the sign; all have it right."""
    sure = (probability - 0.5).abs() > 0.1
    assert ((probability > 0.5) == (estimate > 0))[sure].all()
    return int(sure.sum())


def test_json_holds_the_tables_and_where_they_come_from(
    folder: Path, results: StudyResults
) -> None:
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert found["data_sha256"] == results.data_hash
    assert found["seed"] == 3
    rows = found["tables"]["changes"]
    assert [row["estimate"] for row in rows] == [
        None if np.isnan(v) else pytest.approx(v) for v in results.changes["estimate"]
    ]


def test_draws_come_back(folder: Path, results: StudyResults) -> None:
    import xarray as xr

    names = json.loads((folder / "results.json").read_text(encoding="utf-8"))["draws"]
    drawn = [model for _, model in results.all_models if model.post is not None]
    assert sorted(names.values()) == sorted(model.name for model in drawn)
    own = [model for model in results.models.values() if model.post is not None]
    assert len(drawn) == len(own) + 2, "the score has a binary and an ordinal model"
    assert {path.stem for path in (folder / "draws").iterdir()} == set(names)
    path = next(k for k, name in names.items() if name == "crp")
    with xr.open_datatree(folder / "draws" / f"{path}.nc", engine="h5netcdf") as tree:
        post = results.markers["crp"].post
        assert post is not None
        np.testing.assert_array_equal(tree["posterior"]["sigma"], post.draw("sigma"))


def test_nothing_exported_names_a_patient(folder: Path, results: StudyResults) -> None:
    """Identifiers are P00 to P39; those of the draws are numbers, and observed values left out."""
    import xarray as xr

    texts = [p for p in folder.rglob("*") if p.suffix in (".html", ".csv", ".json", ".svg")]
    said = {path.name: path.read_text(encoding="utf-8") for path in texts}
    with zipfile.ZipFile(folder / "report.docx") as document:
        said["report.docx"] = document.read("word/document.xml").decode("utf-8")
    assert len(said) > 20
    assert [name for name, text in said.items() if re.search(r"\bP[0-3]\d\b", text)] == []
    for path in (folder / "draws").glob("*.nc"):
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            assert {"posterior", "sample_stats", "log_prior", "log_likelihood"} <= set(
                tree.children
            )
            assert "observed_data" not in tree.children
            unit = next(n for n in tree["log_likelihood"].dims if str(n).endswith("_unit"))
            labels = tree["log_likelihood"][unit].to_numpy()
            np.testing.assert_array_equal(labels, np.arange(1, len(labels) + 1))
    post = results.markers["crp"].post
    assert post is not None and "observed_data" in post.idata.children, "the answer keeps its data"
    assert "P00" in post.idata["log_likelihood"]["id_unit"].to_numpy()


def test_draws_of_a_study_that_shows_patients_are_whole(
    results: StudyResults, tmp_path: Path
) -> None:
    import xarray as xr

    one = {"markers": {"crp": results.markers["crp"]}, "mortality": results.mortality}
    study = replace(results.study, show_patients=True)
    shown = replace(results, study=study, parts=one)  # the other parts have no draws
    path = next((export(shown, tmp_path / "all") / "draws").glob("00-*.nc"))
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        assert "observed_data" in tree.children
        assert "P00" in tree["log_likelihood"]["id_unit"].to_numpy()


def test_figures_are_files_of_their_own(folder: Path) -> None:
    svgs = sorted((folder / "figures").glob("*.svg"))
    pngs = sorted((folder / "figures").glob("*.png"))
    assert [p.stem for p in svgs] == [p.stem for p in pngs]
    drawn = {p.stem for p in svgs}
    assert {"kaplan-meier", "forest-changes", "methods-hazard-ratio"} <= drawn
    assert "forest-hazards" not in drawn, "the figure of every method has the only one"
    for path in svgs:
        text = path.read_text(encoding="utf-8")
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(--" not in text
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in pngs)


def test_the_document_says_what_the_page_says(folder: Path, results: StudyResults) -> None:
    from docx import Document

    document = Document(str(folder / "report.docx"))
    said = [p.text for p in document.paragraphs]
    cells = [[c.text for c in row.cells] for t in document.tables for row in t.rows]
    for item in content(results):
        if isinstance(item, Heading):
            assert item.text in said
        elif isinstance(item, DisplayTable):
            assert all([printable(v) for v in row] in cells for row in item.rows)
        elif isinstance(item, str):
            assert printable(item) in said
    assert sum(text == section.title for section in SECTIONS for text in said) >= 7
    with zipfile.ZipFile(folder / "report.docx") as inside:
        pictures = [n for n in inside.namelist() if n.startswith("word/media/")]
        described = inside.read("word/document.xml").decode("utf-8").count("descr=")
    assert len(pictures) >= 5
    assert described >= len(pictures)


def test_pages_before_the_appendix_stand_upright(folder: Path) -> None:
    """What is too broad for one is named there, in one line a place, and stands at the end."""
    from docx import Document

    document = Document(str(folder / "report.docx"))
    body = list(document.element.body)
    (start,) = (k for k, p in enumerate(body) if p.xpath("string(.)") == "Appendix")
    assert not any(element.xpath(".//w:sectPr") for element in body[:start])
    assert any(element.xpath(".//w:sectPr") for element in body[start:])
    texts = [element.xpath("string(.)") for element in body[:start]]
    told = [text.startswith("In the appendix: ") for text in texts]
    assert any(told) and not any(map(all, itertools.pairwise(told)))


def test_no_heading_stands_over_nothing(results: StudyResults) -> None:
    items = list(content(results))
    for item, after in itertools.pairwise(items):
        if isinstance(item, Heading) and isinstance(after, Heading):
            assert item.level < after.level
    assert not isinstance(items[-1], Heading)


def test_what_the_appendix_holds_is_named_as_it_is_elsewhere() -> None:
    """A name with a slip of the pen would leave its table in the text."""
    written = "".join(
        path.read_text(encoding="utf-8") for path in (SOURCE / "report").rglob("*.py")
        if path.name != "word.py"
    )  # fmt: skip
    made = {"methods_hazard_ratio", "methods_risk_difference"}  # by quantity
    assert [name for name in APPENDIX - made if f'"{name}"' not in written] == []


def test_control_characters_do_not_break_the_document() -> None:
    assert printable("a\x00b\x0bc\n") == "a�b�c\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("IL-6", "03-il-6"), ("../../etc", "03-etc"), ("検査", "03"), ("a" * 300, "03-" + "a" * 40)],
)
def test_file_names_are_plain(name: str, expected: str) -> None:
    assert file_name(name, 3) == expected


def test_a_file_in_the_way(results: StudyResults, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(LongsurvError, match="is a file"):
        export(results, tmp_path / "x")
    with pytest.raises(LongsurvError, match="does not exist"):
        export(results, tmp_path / "no" / "y")
