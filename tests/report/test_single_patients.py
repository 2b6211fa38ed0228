"""Single patients stay out of a page unless the study asks for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bad_studies import good
from hypothesis import given
from hypothesis import strategies as st

from longsurv.cli import main
from longsurv.report.sections import trajectories
from longsurv.report.sections.trajectories import FEWEST, STRETCHES, quartiles
from longsurv.study import Study, StudyResults


def drawn(results: StudyResults, name: str) -> np.ndarray:
    """Every height at which the panel of a marker has something of the patients."""
    axes = trajectories.panel(results, name, 0).draw(226.0)
    lines = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()]
    bars = [s[:, 1] for c in axes.collections for s in getattr(c, "get_segments", list)()]
    return np.concatenate([*lines, *bars])


@pytest.mark.parametrize("fixture", ["results", "over_time"])
def test_values_are_drawn_only_when_asked_for(fixture, request) -> None:
    results = request.getfixturevalue(fixture)
    own = results.markers["crp"].data["value"].to_numpy()
    assert not np.isin(drawn(results, "crp"), own).any()
    assert "quartiles" in trajectories.build(results)["caption"]
    asked = replace(results, study=replace(results.study, show_patients=True))
    assert np.isin(own, drawn(asked, "crp")).all()
    assert "Faint lines: patients." in trajectories.build(asked)["caption"]


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from("ab"), st.floats(0, 30), st.floats(-9, 9)),
        min_size=1, max_size=60,
    )
)  # fmt: skip
def test_quartiles_are_of_five_patients_or_more(rows) -> None:
    points = pd.DataFrame(rows, columns=["patient", "group", "x", "value"])
    table = quartiles(points)
    assert list(table.columns) == ["group", "stretch", "low", "value", "high", "x"]
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()
    assert table.groupby("group").size().max() <= STRETCHES if len(table) else True
    many = points.groupby("group")["patient"].nunique()
    assert set(table["group"]) <= set(many.index[many >= FEWEST])


def test_quartiles_by_hand() -> None:
    points = pd.DataFrame(
        [(k, "a", 1.0, float(k)) for k in range(5)]
        + [(0, "a", 2.0, v) for v in (1.0, 2.0, 3.0, 4.0, 5.0)]  # five values, but one patient
        + [(k, "b", 2.0, 10.0 * k) for k in range(9)],
        columns=["patient", "group", "x", "value"],
    )
    table = quartiles(points)[["group", "x", "low", "value", "high"]]
    assert table.to_numpy().tolist() == [["a", 1.0, 1.0, 2.0, 3.0], ["b", 2.0, 20.0, 40.0, 60.0]]


def test_the_setting_is_read_and_checked(tmp_path, capsys) -> None:
    files = good()
    assert Study.from_toml(files.write(tmp_path)).show_patients is False
    asked = replace(files, study=files.study + "[report]\nshow_patients = true\n")
    assert Study.from_toml(asked.write(tmp_path)).show_patients is True
    wrong = replace(files, study=files.study + '[report]\nshow_patients = "yes"\n')
    assert main(["check", str(wrong.write(tmp_path))]) == 1
    assert "[report]: show_patients must be true or false" in capsys.readouterr().err


def test_check_names_patients_without_measurements_and_the_flow_counts_them(
    tmp_path, capsys
) -> None:
    files = good()
    rows = [line for line in files.measurements.split("\n") if not line.startswith("7,")]
    path = replace(files, measurements="\n".join(rows)).write(tmp_path)
    assert main(["check", str(path)]) == 0
    assert "Patients without measurements: 7\n" in capsys.readouterr().out
    step = Study.from_toml(path).cohort.flow.query("step == 'with or without measurements'")
    assert step["reason"].tolist() == ["1 patient without any, kept for survival"]
