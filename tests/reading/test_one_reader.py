"""What a draft reads surely, a study reads to the same values: cells, columns and files."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "draft"))
from exports import RECIPES

from longsurv.cohort.columns import to_readings
from longsurv.cohort.dates import read_dates as dates_of_a_study
from longsurv.cohort.files import Source, read_table
from longsurv.cohort.marks import unmarked
from longsurv.cohort.problems import Problems, Table
from longsurv.draft import draft_files, recipes
from longsurv.draft.cells import SheetColumn, read_column
from longsurv.draft.straight import file_keys
from longsurv.draft.tidy import cleaned
from longsurv.reading.dates import read_dates
from longsurv.reading.numbers import read_number
from longsurv.reading.textfile import find_encoding, find_separator

SIGNS = ("", "", "", "<", "> ", "≤", "less than ", "UNTER ", "über ", "gt ")
TAILS = ("", "", " mg/L", "mg/dl", " %", " 10⁹/L", " H", "*", " is highest measured", "以上", " ?")


def written(draw: st.DrawFn, comma: bool, thousands: str) -> str:
    """A number as somebody writes it."""
    value = draw(st.integers(0, 2_000_000)) / draw(st.sampled_from([1, 1, 10, 100, 1000]))
    text = f"{value:.10g}" if value < 1e6 else f"{value:.0f}"
    whole, point, rest = text.partition(".")
    if thousands and draw(st.booleans()):
        whole = f"{int(whole):,}".replace(",", thousands)
    text = whole + point.replace(".", "," if comma else ".") + rest
    return draw(st.sampled_from(SIGNS)) + text + draw(st.sampled_from(TAILS))


@st.composite
def columns(draw: st.DrawFn) -> list[str]:
    comma = draw(st.booleans())
    thousands = draw(st.sampled_from(["", "", "." if comma else ",", " ", "'"]))
    count = draw(st.integers(3, 12))
    cells = [written(draw, comma, thousands) for _ in range(count)]
    odd = draw(st.lists(st.sampled_from(["n.d.", "1.5", "2,5", "1,234", "inf", "1_000", "-99"])))
    return [*cells, *odd[:2]]


def as_a_study(cells: pd.Series, decimal: str) -> tuple[np.ndarray, np.ndarray]:
    """Values and limits of a column as `check` reads it."""
    table = unmarked(Table(cells.to_frame("crp"), "t"), [], decimal if decimal == "," else None)
    numbers, _, _ = to_readings(table.frame["crp"])
    return numbers.values, numbers.censored


@settings(max_examples=80, deadline=None)
@given(columns())
def test_a_column_of_numbers(cells: list[str]) -> None:
    given_ = pd.Series(cells, dtype=object)
    column = read_column(given_, "crp")
    if column.kind != "number" or not column.decimal_sure:
        return
    said = [cells[k] for k in range(len(cells)) if np.isfinite(column.numbers[k])]
    for text in said:  # no figure is lost, and none made
        figures = re.findall(r"\d", text.replace("10⁹", ""))
        kept = np.format_float_positional(column.numbers[cells.index(text)])
        assert "".join(figures).strip("0") == re.sub("[.-]", "", kept).strip("0")
    there = np.isfinite(column.numbers)
    # The tidy copy of it is plain for the study.
    values, censored = as_a_study(cleaned(given_, column).astype(object), ".")
    np.testing.assert_array_equal(values[there], column.numbers[there])
    np.testing.assert_array_equal(censored[there], column.censored[there])
    assert np.isnan(values[~there]).all()
    # And so are the cells themselves, where nothing has to be taken away.
    if not (column.thousands or column.flags):
        values, censored = as_a_study(given_[there], column.decimal)
        np.testing.assert_array_equal(values, column.numbers[there])
        np.testing.assert_array_equal(censored, column.censored[there])


def test_a_thousand_beside_a_tenth() -> None:
    cells = pd.Series(["1.000", "0,1", "12", "2.500,5"], dtype=object)
    column = read_column(cells, "crp")
    assert list(column.numbers) == [1000, 0.1, 12, 2500.5]
    assert list(as_a_study(cleaned(cells, column).astype(object), ".")[0]) == list(column.numbers)


FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y",
         "%m/%d/%y", "%y/%m/%d", "%d-%b-%Y", "%d %B %Y", "%d%b%y", "%Y年%m月%d日", "%Y%m%d",
         "%d. Mai %Y", "%d-Okt-%y", "%d. Dezember %Y", "%d déc %Y")  # fmt: skip
CLOCKS = ("", "", " %H:%M", " %H:%M:%S", "T%H:%M:%SZ", " %I:%M %p", " %H:%M:%S+02:00",
          " %H:%M:%S.%f+00")  # fmt: skip
MONTH = {"Mai": 5, "Okt": 10, "Dezember": 12, "déc": 12}


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(FORMS),
    st.sampled_from(CLOCKS),
    st.lists(st.datetimes(pd.Timestamp("2001-01-01"), pd.Timestamp("2031-12-31")), min_size=1,
             max_size=12, unique=True),
)  # fmt: skip
def test_a_column_of_dates(form: str, clock: str, stamps: list) -> None:
    month = next((k for word, k in MONTH.items() if word in form), None)
    stamps = [s.replace(day=min(s.day, 28), month=month or s.month) for s in stamps]
    texts = [s.strftime(form + clock) for s in stamps]
    read = read_dates(texts)
    if form.startswith("%y"):  # as if the days of a month came first
        assert not read.sure or max(s.year for s in stamps) > 2026
        return
    minute, second, fraction = "%M" in clock, "%S" in clock, "%f" in clock
    truth = [
        s.replace(
            hour=s.hour if clock else 0,
            minute=s.minute if minute else 0,
            second=s.second if second else 0,
            microsecond=s.microsecond if fraction else 0,
        )
        for s in stamps
    ]
    shift = np.timedelta64(2 if "+02" in clock else 0, "h")
    wanted = np.array(truth, dtype="datetime64[ns]") - shift
    if read.sure:
        np.testing.assert_array_equal(read.values, wanted)
    same = recipes.when(pd.Series(texts), read.order != "month")
    np.testing.assert_array_equal(same.to_numpy(dtype="datetime64[ns]"), read.values)
    study = dates_of_a_study(pd.Series(texts))
    assert study is not None
    np.testing.assert_array_equal(study.values, read.values)
    assert study.unclear is not read.sure
    assert study.zoned is bool(re.search(r"Z$|\+\d", texts[0]))


def test_two_digit_years() -> None:
    """The year may come first unless there are days of the whole month, and few years."""
    days = pd.date_range("2023-03-01", periods=40, freq="3D")
    assert read_dates([d.strftime("%d/%m/%y") for d in days]).sure
    for name, freq in (("%y/%m/%d", "3D"), ("%y/%m/15", "100D"), ("%y/%m/01", "100D")):
        days = pd.date_range("2001-03-01", periods=80, freq=freq)
        assert not read_dates([d.strftime(name) for d in days]).sure
    assert not read_dates(["14/03/23", "20/04/23"]).sure
    assert read_dates(["14/03/98", "20/04/99"]).sure
    assert read_dates(["03/14/23", "04/20/23"]).order == "month"


@pytest.mark.parametrize("texts", [["13/14/2024"], ["2024-13-05"], ["31.02.2024"], ["2024"],
                                   ["2024-05"], ["5.13.2024", "13.5.2024"]])  # fmt: skip
def test_a_date_that_is_none_is_none_for_both(texts: list[str]) -> None:
    first = read_dates(texts)
    second = recipes.when(pd.Series(texts), first.order != "month")
    np.testing.assert_array_equal(second.to_numpy(dtype="datetime64[ns]"), first.values)
    assert np.isnat(first.values[-1]) or not first.sure


@pytest.mark.parametrize("text", ["1,5", "1.5.3", "10^9/L", "3-5", "1 2345", "12e4000 x,y", "5 %,"])
def test_what_is_no_number(text: str) -> None:
    found = read_number(text)
    assert found is None or found.tail
    assert np.isnan(to_readings(pd.Series([text]))[0].values[0]) or found is not None


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("5 10\u2079", (5, "10^9")),
        ("12m\u00b2", (12, "m^2")),
        ("\uff11\uff12\uff0e\uff15", (12.5, "")),
        ("1\u00a0234", (1234, "")),
    ],
)
def test_figures_that_are_not_ascii(text: str, wanted: tuple[float, str]) -> None:
    found = read_number(text)
    assert found is not None
    assert (found.value, found.tail) == wanted


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alike")


def _surely(column: SheetColumn) -> bool:
    return column.decimal_sure and column.order_sure and not (column.thousands or column.flags)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(RECIPES)), st.integers(0, 10_000))
def test_a_file_that_init_names_is_read_to_the_same_values(
    folder: Path, name: str, seed: int
) -> None:
    place = folder / f"{name}-{seed}"
    if place.exists():
        return
    place.mkdir()
    export = RECIPES[name](place, seed)
    found = draft_files(export.files)._found
    for sheet in found.sheets:
        raw = sheet.raw
        if not raw.straight:
            continue
        keys = file_keys(sheet, sorted({w for c in sheet.columns.values() for w in c.words}))
        keys["missing"] = tuple(keys.get("missing", ()))
        problems = Problems()
        table = read_table(Source(raw.path, sheet.patient, **keys), problems)
        assert table is not None, problems.texts
        assert list(table.frame.columns) == list(sheet.columns)
        for column in sheet.columns.values():
            cells = table.frame[column.name]
            if column.kind == "number" and _surely(column) and column.name != sheet.patient:
                numbers, _, _ = to_readings(cells)
                np.testing.assert_array_equal(numbers.values, column.numbers)
                np.testing.assert_array_equal(numbers.censored, column.censored)
            if column.kind == "date" and _surely(column):
                dates = dates_of_a_study(cells, "%Y%m%d" if cells.dtype.kind == "i" else None)
                assert dates is not None
                assert not dates.unclear
                np.testing.assert_array_equal(dates.values, column.dates)


def test_encodings_and_whether_they_are_told() -> None:
    text = "患者;治療\n1;対照\n"
    for encoding, name in (("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16"),
                           ("cp932", "cp932")):  # fmt: skip
        found = find_encoding(text.encode(encoding))
        assert (found.name, found.sure) == (name, True)
    western = find_encoding("größe;Thrombozyten (µl)\n".encode("cp1252"))
    assert (western.name, western.sure) == ("cp1252", True)
    assert not find_encoding("примечание".encode("cp1251")).sure


@pytest.mark.parametrize(
    "text, mark",
    [("id;a;b\n1;2,5;3,5\n2;4,5;\n", ";"), ("id,a\n1,2\n", ","), ("id\ta\n1\t2,5\n", "\t"),
     ("Export of Tuesday\n\nid;a\n1;2\n", ";"), ("a;b|c;d\n1;2|3;4\n", ";"),
     ("pid;day|test;result|x\n1;1|crp;2|3\n", ",")],
)  # fmt: skip
def test_separators(text: str, mark: str) -> None:
    assert find_separator(text.splitlines(keepends=True)) == mark
