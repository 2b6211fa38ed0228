from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from longsurv.cohort import Aims, ModelSettings, SamplingSettings, kinds, read_cohort, read_study
from longsurv.errors import DataError

STUDY = """
[study]
title = "Trial"
randomised = true

[patients]
file = "patients.csv"
patient = "id"
treatment = "arm"
reference = "control"
covariates = ["age"]

[outcome]
exit = "days"
status = "status"
event = "dead"
censored = ["alive", "lost"]
entry = 0
horizon = 28
time_unit = "days"
time_zero = "ICU admission"

[outcome.competing]
discharged = "home"

[measurements]
file = "visits.csv"
patient = "pid"
time = "day"
marker = "test"
value = "result"

[phases]
baseline = 1
after = [4, 7]

[markers.crp]
label = "CRP"
unit = "mg/dL"
transform = "log"
lower_limit = 0.1
direction = "lower"
family = "inflammation"

[markers."PT-INR"]
"""

PATIENTS = """id,arm,days,status,age
1,control,28,alive,50
2,treated,9,dead,60

3,control,30,lost,70
4,treated,20,home,NA
"""

VISITS = """pid,day,test,result
1,1,crp,12
1,4,crp,<0.2
2,1,PT-INR,1.2
3,1,crp,0.01
3,4,crp,.
4,1,PT-INR,1.1
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "patients.csv").write_text(PATIENTS, encoding="utf-8")
    (tmp_path / "visits.csv").write_text(VISITS, encoding="utf-8")
    path = tmp_path / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def edit(path: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def problems_of(path: Path) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        read_study(path)
    return caught.value.problems


def test_a_study_is_read(study: Path) -> None:
    read = read_study(str(study))
    cohort = read.cohort
    assert cohort.title == "Trial"
    assert cohort.randomised
    assert list(cohort.markers) == ["crp", "PT-INR"]
    assert cohort.markers["crp"].label == "CRP"
    assert cohort.markers["PT-INR"].label == "PT-INR"
    assert cohort.schema.time_zero == "ICU admission"
    assert list(cohort.survival_data()["status"]) == [0, 1, 0, 2]
    assert list(cohort.marker_data("crp")["value"]) == [12, 0.2, 0.1]
    assert list(cohort.measurements.columns) == [
        "id",
        "day",
        "marker",
        "value",
        "censored",
        "phase",
    ]
    assert read.models == ModelSettings(
        "phase * arm + (1 | id)", "arm", joint_trajectory="day * arm + (day | id)"
    )
    assert read.sampling == SamplingSettings(1000, 4, 1)
    assert read.path == study
    assert len(read_cohort(study).patients) == 4


def test_settings_of_models_and_sampling(study: Path) -> None:
    edit(study, "[study]", '[models]\nmortality = "arm + age"\n[sampling]\nseed = 7\n[study]')
    edit(study, "[phases]\nbaseline = 1\nafter = [4, 7]", "")
    read = read_study(study)
    over_time = "day * arm + (day | id)"
    assert read.models == ModelSettings(over_time, "arm + age", joint_trajectory=over_time)
    assert read.sampling == SamplingSettings(1000, 4, 7)


def test_markers_of_joint_models_are_the_studys(study: Path) -> None:
    edit(study, "[study]", '[models]\njoint = ["crp"]\n[study]')
    assert read_study(study).models.joint == ("crp",)
    edit(study, 'joint = ["crp"]', 'joint = ["cpr", "x"]')
    with pytest.raises(DataError) as raised:
        read_study(study)
    assert 'joint names "cpr", no marker of the study; did you mean "crp"?' in str(raised.value)
    assert 'joint names "x"' in str(raised.value)


def test_a_missing_code_and_an_empty_row_are_no_data(study: Path) -> None:
    flow = read_cohort(study).flow.set_index("step")
    assert flow.loc["in the patient table", "kept"] == 4
    assert flow.loc["value recorded", "reason"] == "missing CRP: 1"


def test_rows_are_numbered_as_in_a_spreadsheet(study: Path) -> None:
    edit(study.parent / "patients.csv", "3,control,30", "3,control,-30")
    edit(study.parent / "visits.csv", "1.1", "clotted")
    first, second = problems_of(study)
    assert 'patients.csv, column "days"' in first
    assert "-30 (patient 3, row 5)" in first
    assert 'visits.csv, column "result"' in second
    assert '"clotted" (patient 4, row 7)' in second


@pytest.mark.parametrize(
    ("old", "new", "pieces"),
    [
        ("treatment =", "treatmnt =", ["[patients]", '"treatmnt"', 'did you mean "treatment"?']),
        ("[measurements]", "[measurement]", ['table "measurement"', '"measurements"']),
        ("label =", "lable =", ["[markers.crp]", 'did you mean "label"?']),
        ("horizon = 28", 'horizon = "28"', ["[outcome]", 'horizon must be a number, not "28"']),
        ("randomised = true", "randomised = 1", ["randomised must be true or false, not 1"]),
        ('covariates = ["age"]', 'covariates = "age"', ["covariates must be a list of text"]),
        ('file = "patients.csv"\n', "", ['[patients]: the key "file" is missing']),
        ("baseline = 1", "baseline = [1, 2, 3]", ["[phases]: baseline must be"]),
        ("after = [4, 7]", "after = [7, 4]", ['phase "after"', "first <= last"]),
        ("baseline = 1", "baseline = 5", ["overlap at time 5"]),
        ('transform = "log"', 'transform = "ln"', ['marker "crp": transform must be']),
        ('reference = "control"', 'reference = ["control"]', ["reference must be a value"]),
        ('discharged = "home"', 'discharged = "dead"', ['status "dead" cannot mean both']),
        ("[markers.crp]", "[markers]\ncrp = 1\n[markers.other]", ["[markers.crp]: must be"]),
        ("[study]", "[study", ["not valid TOML"]),
    ],
)
def test_a_bad_study_file(study: Path, old: str, new: str, pieces: list[str]) -> None:
    found = problems_of(edit(study, old, new))
    assert any(all(piece in text for piece in pieces) for text in found), found
    assert all(text.startswith("study.toml") for text in found)


def test_all_problems_of_a_study_file_at_once(study: Path) -> None:
    for old, new in [("title", "titel"), ("entry = 0", "entry = true"), ("lower_limit", "limit")]:
        edit(study, old, new)
    assert len(problems_of(study)) == 3


def test_files_that_are_not_there(study: Path) -> None:
    (study.parent / "patients.csv").rename(study.parent / "patient.csv")
    edit(study, "visits.csv", "visits.sas7bdat")
    (study.parent / "visits.sas7bdat").write_bytes(b"")
    first, second = problems_of(study)
    assert "patients.csv: there is no such file" in first
    assert 'did you mean "patient.csv"?' in first
    assert '".sas7bdat" cannot be read' in second
    assert "there is no study file" in problems_of(study.parent / "other.toml")[0]
    assert "is a folder" in problems_of(study.parent)[0]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", ["no first row of column names"]),
        ("pid,day,test,result\n1,1,crp,2,9\n", ["cannot be read"]),
        ("pid;day|test;result|x\n1;1|crp;2|3\n", ["cannot be read", "separator"]),
        ("pid,day,test,result,day\n1,1,crp,2,1\n", ['columns "day" appear twice']),
    ],
)
def test_a_file_that_is_not_a_table(study: Path, text: str, pieces: list[str]) -> None:
    (study.parent / "visits.csv").write_text(text, encoding="utf-8")
    found = problems_of(study)
    assert any(all(piece in text for piece in ["visits.csv", *pieces]) for text in found), found


def test_broken_binary_files(study: Path) -> None:
    for name in ("visits.parquet", "visits.xlsx"):
        (study.parent / name).write_bytes(b"nonsense")
        edit(study, "visits.csv", name)
        assert f"{name}: the file cannot be read" in problems_of(study)[0]
        edit(study, name, "visits.csv")


def test_options_of_a_text_file(study: Path) -> None:
    text = VISITS.replace(",", ";").replace("clotted", "").replace("1.1", "ND")
    (study.parent / "visits.csv").write_bytes(
        ("備考;" + text).replace("\n", "\nあ;").rstrip("あ;").encode("cp932")
    )
    (found,) = problems_of(study)  # separator and encoding are told by the file itself
    assert '"ND" (patient 4, row 7)' in found
    edit(
        study,
        'patient = "pid"',
        'patient = "pid"\nseparator = ";"\nencoding = "cp932"\nmissing = ["ND"]',
    )
    flow = read_cohort(study).flow.set_index("step")
    assert flow.loc["value recorded", "reason"] == "missing CRP: 1, PT-INR: 1"


def test_identifiers_keep_leading_zeros(study: Path) -> None:
    edit(study.parent / "patients.csv", "\n4,", "\n004,")
    edit(study.parent / "visits.csv", "\n4,", "\n004,")
    assert list(read_cohort(study).patients["id"]) == ["004", "1", "2", "3"]


def test_a_group_may_be_called_none(study: Path) -> None:
    text = (study.parent / "patients.csv").read_text().replace("control", "None")
    (study.parent / "patients.csv").write_text(text)
    assert read_cohort(edit(study, '"control"', '"None"')).groups == ["None", "treated"]


@pytest.mark.parametrize("suffix", [".parquet", ".xlsx", ".tsv"])
def test_other_kinds_of_file_give_the_same_cohort(study: Path, suffix: str) -> None:
    expected = read_cohort(study)
    for name in ("patients", "visits"):
        frame = pd.read_csv(study.parent / f"{name}.csv", na_values=["."])
        path = study.parent / f"{name}{suffix}"
        if suffix == ".parquet":
            frame.to_parquet(path)
        elif suffix == ".xlsx":
            frame.to_excel(path, index=False)
        else:
            frame.to_csv(path, sep="\t", index=False)
        edit(study, f"{name}.csv", path.name)
    found = read_cohort(study)
    pd.testing.assert_frame_equal(found.patients, expected.patients)
    pd.testing.assert_frame_equal(found.measurements, expected.measurements)
    pd.testing.assert_frame_equal(found.survival_data(), expected.survival_data())


def test_excel_rows_and_sheets(study: Path) -> None:
    visits = pd.read_csv(study.parent / "visits.csv", na_values=["."])
    visits.loc[5, "result"] = "clotted"
    with pd.ExcelWriter(study.parent / "lab.xlsx") as book:
        pd.DataFrame({"a": [1]}).to_excel(book, sheet_name="notes", index=False)
        visits.to_excel(book, sheet_name="lab", index=False)
    edit(study, 'file = "visits.csv"', 'file = "lab.xlsx"\nsheet = "lab"')
    (text,) = problems_of(study)
    assert 'lab.xlsx, column "result"' in text
    assert '"clotted" (patient 4, row 7)' in text
    edit(study, 'sheet = "lab"', 'sheet = "Lab"')
    assert "lab.xlsx: the file cannot be read" in problems_of(study)[0]


def test_a_wide_file(study: Path) -> None:
    long = read_cohort(study)
    (study.parent / "visits.csv").write_text(
        "pid,day,crp,PT-INR\n1,1,12,\n1,4,<0.2,\n2,1,,1.2\n3,1,0.01,\n4,1,,1.1\n"
    )
    edit(study, 'marker = "test"\nvalue = "result"', "wide = true")
    pd.testing.assert_frame_equal(read_cohort(study).measurements, long.measurements)


@pytest.mark.parametrize("name", ["pbc", "ivig_sepsis"])
def test_the_example_studies_are_read(name: str) -> None:
    path = Path(__file__).parents[2] / "examples" / name / "study.toml"
    cohort = read_cohort(path)
    assert len(cohort.patients) == {"pbc": 312, "ivig_sepsis": 41}[name]
    assert cohort.reconstructed == (name == "ivig_sepsis")


def test_a_file_says_that_nobody_was_censored(study: Path) -> None:
    patients = PATIENTS.replace("alive", "2").replace("dead", "1").replace("lost", "2")
    (study.parent / "patients.csv").write_text(patients.replace("home", "1"), encoding="utf-8")
    edit(study, '"dead"', "1")
    edit(study, 'discharged = "home"', "discharged = 2")
    # Named, the codes are not R's: without the key the file says as much as with it.
    assert list(read_cohort(study).survival_data()["status"]) == [2, 1, 0, 1]
    read = read_study(edit(study, 'censored = ["alive", "lost"]', "censored = []"))
    assert list(read.cohort.survival_data()["status"]) == [2, 1, 0, 1]  # cut at day 28


KINDS = (
    (kinds.CHARACTER, [";", "\t"], ["", ";;", 1]),
    (kinds.NUMBER, [0, -1.5, 10**299, float("inf")], [True, "1", 10**300, -(10**300), [1]]),
    (kinds.ENTRY, [2, 0.5, "day"], [True, ["day"], 10**300]),
    (kinds.COUNT, [1, 5000], [0, -1, 1.0, True, "1"]),
    (kinds.SEED, [0, 2**63 - 1], [-1, 2**63, 0.0, False]),
    (kinds.DECIMAL, [".", ","], [";", 1]),
    (kinds.TEXTS, [[], ["a"]], ["a", ["a", 1]]),
    (kinds.LEVEL_OR_LEVELS, ["a", 1, True, ["a", 1.5]], [[], {}, [["a"]]]),
    (kinds.LEVELS_OR_NONE, ["a", []], [{}, [["a"]]]),
    (kinds.LEVELS, [[], [1, "a"]], ["a", [{}]]),
    (kinds.LEVEL, ["a", 0, 1.5, False], [[], {}]),
    (kinds.PAIR, [[0, 1], [2.5, -1]], [[0], [0, 1, 2], [0, True], 1]),
    (kinds.PHASE, [1, [4, 7], "[1, 4)"], [[4], [4, True], True, "4"]),
    (kinds.SKIPPED, [0, 3], [-1, 0.0, True]),
    (kinds.LABELS, [{}, {"a": "b"}], [[], "a", {"a": 1}]),
    (kinds.COMPETING, [{}, {"a": 1}], [[], "a"]),
)


@pytest.mark.parametrize(
    ("kind", "right", "wrong"), KINDS, ids=lambda x: x.words if isinstance(x, kinds.Kind) else ""
)
def test_what_a_key_accepts(kind: kinds.Kind, right: list, wrong: list) -> None:
    assert [value for value in right if not kind.accepts(value)] == []
    assert [value for value in wrong if kind.accepts(value)] == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[study]", "[sampling]\ndraws = 0\n[study]", "draws must be a whole number, 1 or more"),
        ("[study]", "[sampling]\nseed = -1\n[study]", "seed must be a whole number, 0 to"),
        ("after = [4, 7]", "after = [4, true]", "after must be a time, [first, last] or half open"),
        ("after = [4, 7]", "after = [4]", "after must be a time, [first, last] or half open"),
        ('discharged = "home"', "discharged = []", "[outcome.competing]: discharged must be"),
        ("[phases]", "[[phases]]", "phases must be a table"),
    ],
)
def test_a_value_of_the_wrong_kind(study: Path, old: str, new: str, problem: str) -> None:
    found = problems_of(edit(study, old, new))
    assert any(problem in text for text in found), found


def test_settings_at_their_limits_are_read(study: Path) -> None:
    edit(study, "[study]", "[sampling]\ndraws = 1\nchains = 1\nseed = 0\n[study]")
    edit(study, "after = [4, 7]", "after = 4")
    read = read_study(study)
    assert read.sampling == SamplingSettings(1, 1, 0)
    assert [(p.name, p.first, p.last) for p in read.cohort.schema.phases] == [
        ("baseline", 1, 1), ("after", 4, 4),
    ]  # fmt: skip


def test_patients_are_shown_only_when_the_file_says_so(study: Path) -> None:
    assert read_study(study).show_patients is False
    edit(study, "[study]", "[report]\nshow_patients = true\n[study]")
    assert read_study(study).show_patients is True


def test_the_aims_of_a_study(study: Path) -> None:
    assert read_study(study).aims == Aims()
    edit(study, "[study]", '[study]\nprimary = "death"\nsecondary = ["crp"]\nprespecified = true')
    aims = read_study(study).aims
    assert aims == Aims("death", ("crp",), True)
    assert [aims.role(n) for n in ("death", "crp", "PT-INR")] == [
        "primary", "secondary", "exploratory",
    ]  # fmt: skip
    assert Aims().role("crp") is None


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            'primary = "crpp"',
            '[study]: primary names "crpp", no outcome of the study; did',
        ),
        (
            'primary = "dead"',
            '"dead", no outcome of the study; did you mean "death"?',
        ),
        ('secondary = ["zzz"]', 'it may be "crp", "PT-INR", "death"'),
        ('primary = "crp"\nsecondary = ["crp"]', "is both primary and secondary"),
        ('secondary = ["crp", "crp"]', 'secondary names "crp" twice'),
        ("prespecified = true", "prespecified is said of the outcomes named"),
        ('labels = {treatd = "T"}', 'labels names "treatd", no group and no covariate'),
        ('labels = {treated = "control"}', 'two groups would be called "control"'),
        ('labels = {treated = ""}', 'the label of "treated" is empty'),
        ("labels = {treated = 1}", "labels must be a table of texts"),
        ("primary = 3", "primary must be text"),
    ],
)
def test_what_cannot_be_an_aim_or_a_label(study: Path, said: str, problem: str) -> None:
    found = problems_of(edit(study, "[study]", f"[study]\n{said}"))
    assert any(problem in text for text in found), found


def test_labels_are_what_groups_and_covariates_go_by(study: Path) -> None:
    plain = read_cohort(study)
    said = 'labels = {treated = "Immunoglobulin", control = "Usual care", age = "Age at entry"}'
    edit(study, "[study]", f"[study]\n{said}")
    cohort = read_cohort(study)
    assert cohort.groups == ["Usual care", "Immunoglobulin"]
    assert cohort.schema.reference == "Usual care"
    assert list(cohort.n_by_group.values()) == list(plain.n_by_group.values())
    for data in (cohort.patients, cohort.survival_data(), cohort.marker_data("crp")):
        assert list(data["arm"].cat.categories) == ["Usual care", "Immunoglobulin"]
    was, now = plain.patients["arm"].cat.codes, cohort.patients["arm"].cat.codes
    assert (was == now).all()
    assert (cohort.label("age"), plain.label("age")) == ("Age at entry", "Age")
    edit(study, "[study]", "[models]\nmortality = \"arm == 'treated'\"\n[study]")
    assert any("goes by its label; write" in text for text in problems_of(study))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("0", "relevant must be a number above 0"),
        ("-2", "relevant must be a number above 0"),
        ("1", "relevant is a ratio"),
        ('"a"', "relevant must be a number"),
    ],
)
def test_a_relevant_difference_is_a_size(study: Path, value: str, problem: str) -> None:
    edit(study, "lower_limit = 0.1", "lower_limit = 0.1\nrelevant = 0.7")
    assert read_cohort(study).markers["crp"].relevant == 0.7
    found = problems_of(edit(study, "relevant = 0.7", f"relevant = {value}"))
    assert any(problem in text for text in found), found
