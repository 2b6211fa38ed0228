from __future__ import annotations

import re
import warnings
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from longsurv.figures import forest, kaplan_meier, to_svg, trajectory
from longsurv.figures.axes import log_ticks, padded
from longsurv.figures.rows import GOES_DOWN, GOES_UP

GROUPS = ["control", "active"]
FOREST = pd.DataFrame({
    "row": ["CRP", "CRP", "WBC", "WBC"], "series": ["ML", "Bayes"] * 2,
    "estimate": [-0.5, -0.4, 0.1, np.nan], "conf_low": [-0.9, -0.8, -0.2, np.nan],
    "conf_high": [-0.1, 0.0, 0.4, np.nan], "text": ["one", "two", "three", "four"],
})  # fmt: skip
POINTS = pd.DataFrame({
    "patient": [1, 1, 2, 2], "group": ["control"] * 2 + ["active"] * 2, "x": [0.0, 1, 0, 1],
    "value": [10.0, 20, 100, 10],
})  # fmt: skip
CURVE = pd.DataFrame({
    "group": ["control"] * 2 + ["active"] * 2, "x": [0.0, 1, 0, 1],
    "estimate": [10.0, 20, 100, 10], "conf_low": [8.0, 15, 80, 8], "conf_high": [12.0, 25, 120, 12],
})  # fmt: skip


def km(width: float = 700):
    curves = pd.DataFrame({
        "group": ["control"] * 3 + ["active"] * 2, "time": [7.0, 10, 28, 7, 28],
        "estimate": [1, 0.8, 0.8, 1, 1], "conf_low": [1, 0.6, 0.6, 1, 1],
        "conf_high": [1, 0.9, 0.9, 1, 1], "censored": [0, 0, 4, 0, 5],
    })  # fmt: skip
    risk = pd.DataFrame({
        "group": ["control"] * 2 + ["active"] * 2, "time": [7.0, 28] * 2, "at_risk": [5, 4, 5, 5],
    })  # fmt: skip
    return kaplan_meier(curves, risk, groups=GROUPS, xlabel="Days", width=width)


DRAW = {
    "forest": lambda: forest(FOREST, xlabel="SD"),
    "forest-narrow": lambda: forest(FOREST, xlabel="SD", width=358),
    "kaplan-meier": km,
    "kaplan-meier-narrow": lambda: km(358),
    "trajectory": lambda: trajectory(POINTS, CURVE, groups=GROUPS, title="CRP", log=True),
    "phases": lambda: trajectory(
        POINTS, CURVE, groups=GROUPS, title="CRP", ticks={0: "before", 1: "after"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAW)
def test_svg_is_well_formed_described_and_the_same_every_time(name: str) -> None:
    svg = to_svg(DRAW[name]().figure, name, 'a "label" & <more>')
    assert svg == to_svg(DRAW[name]().figure, name, 'a "label" & <more>')
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'a "label" & <more>'
    assert root.find("{http://www.w3.org/2000/svg}title").text == 'a "label" & <more>'
    assert "http" not in svg.replace("http://www.w3.org", "")
    assert "<text" in svg, "text stays text"


@pytest.mark.parametrize("name", DRAW)
def test_ids_are_the_figures_own_and_every_reference_has_its_target(name: str) -> None:
    svg = to_svg(DRAW[name]().figure, name, "")
    ids = set(re.findall(r'\bid="([^"]+)"', svg))
    assert all(i.startswith(f"{name}-") for i in ids)
    assert set(re.findall(r'href="#([^"]+)"', svg)) <= ids
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= ids


def test_colours_follow_the_page() -> None:
    svg = to_svg(DRAW["trajectory"]().figure, "t", "")
    assert "var(--group-0" in svg
    assert "var(--group-1" in svg
    assert not re.search(r"(?<!, )#0072b2", svg)


@pytest.mark.parametrize("name", ["forest", "forest-narrow", "kaplan-meier", "kaplan-meier-narrow"])
def test_no_text_is_cut_by_the_edge(name: str) -> None:
    figure = DRAW[name]().figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    width, height = figure.bbox.width, figure.bbox.height
    for text in figure.findobj(mpl.text.Text):
        box = text.get_window_extent(renderer)
        if text.get_text().strip() and text.get_visible():
            assert box.x0 >= -1 and box.y0 >= -1, text.get_text()
            assert box.x1 <= width + 1 and box.y1 <= height + 1, text.get_text()


def test_settings_outside_are_left_alone() -> None:
    before = dict(mpl.rcParams)
    to_svg(DRAW["forest"]().figure, "f", "")
    assert dict(mpl.rcParams) == before


def test_forest_marks_sit_at_their_estimates_and_a_missing_one_is_said() -> None:
    ax = forest(FOREST, xlabel="SD")
    at = sorted(float(line.get_xdata()[0]) for line in ax.lines
                if line.get_marker() in ("o", "D") and len(line.get_xdata()) == 1)  # fmt: skip
    assert at == [-0.5, -0.4, 0.1]
    assert any("not estimated" in text.get_text() for text in ax.texts)


@pytest.mark.parametrize("width", [280, 360, 390, 640, 860])
def test_what_lies_to_either_side_is_told_without_overlap(width: float) -> None:
    sides = {"left_label": "lower hazard in ivig", "right_label": "higher hazard in ivig"}
    row = {"row": "ivig against control", "series": "Bayes", "text": "0.482 (0.115 to 1.84)"}
    table = pd.DataFrame([{**row, "estimate": 0.48, "conf_low": 0.115, "conf_high": 1.84}])
    ax = forest(table, xlabel="Hazard ratio", log=True, width=width, **sides)
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()
    told = [text for text in ax.texts if "hazard in ivig" in text.get_text()]
    first, second = (text.get_window_extent() for text in told)
    assert first.x1 < second.x0 and second.x1 <= figure.bbox.x1 and first.x0 >= 0


def test_forest_ratio_axis_is_logarithmic_and_a_cut_interval_has_an_arrow() -> None:
    wide = FOREST.assign(estimate=0.5, conf_low=1e-6, conf_high=2.0)
    ax = forest(wide, xlabel="Hazard ratio", log=True)
    assert ax.get_xscale() == "log"
    assert ax.get_xlim()[0] > 1e-3
    assert any(line.get_marker() == list(GOES_DOWN) for line in ax.lines)


def test_no_text_of_a_figure_begins_with_blanks_which_svg_drops() -> None:
    """Numbers beside an axis stand apart from it by their place."""
    ax = forest(FOREST.assign(text="1.2 (0.9 to 1.5)"), xlabel="x", text_heading="Numbers")
    beside = [t for t in ax.texts if "1.2" in t.get_text() or t.get_text() == "Numbers"]
    assert len(beside) >= 4 and min(t.get_position()[0] for t in beside) > 1.0
    for text in (*ax.texts, *km().texts):
        assert text.get_text() == text.get_text().strip()


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_an_arrow_leaves_no_ink_beside_the_axis(side: float) -> None:
    """Where the numbers are written: its tip is at the end of the axis."""
    low, high = sorted((side * 1e6, -side * 0.5))
    rows = pd.DataFrame([(name, "all", 0.1 * side, low if name == "a" else -0.5,
                          high if name == "a" else 0.5) for name in "abc"],
                        columns=["row", "series", "estimate", "conf_low", "conf_high"])  # fmt: skip
    ax = forest(rows, xlabel="x", width=400)
    arrows = (list(GOES_UP), list(GOES_DOWN))
    (arrow,) = (line for line in ax.lines if line.get_marker() in arrows)
    canvas = FigureCanvasAgg(ax.get_figure())
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba())[::-1, :, :3].astype(int)
    end, y = ax.transData.transform((arrow.get_xdata()[0], arrow.get_ydata()[0]))
    dark = np.abs(image - image[0, 0]).sum(axis=-1)[round(y) - 4 : round(y) + 5] > 90
    assert dark[:, round(end + side * 2)].sum() == 0
    assert dark[:, round(end - side * 5)].sum() > 3


def test_kaplan_meier_prints_the_numbers_at_risk() -> None:
    texts = [text.get_text() for text in km().texts]
    assert texts.count("5") == 3
    assert texts.count("4") == 1


def test_patients_are_drawn_as_separate_lines() -> None:
    two = pd.concat([POINTS, POINTS.assign(patient=POINTS["patient"] + 2)])
    ax = trajectory(two, None, groups=GROUPS)
    x, y = ax.lines[0].get_data()
    assert np.isnan(y).sum() == 1, "one gap between two patients"
    assert len(x) == 5


@pytest.mark.parametrize("label", ["<script>", "$\\frac{1$", "検査値", "نتيجة", "x" * 300])
def test_hostile_labels_do_no_harm(label: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = FOREST.assign(row=label)
        svg = to_svg(forest(table, xlabel=label).figure, "f", label)
        svg += to_svg(trajectory(POINTS, CURVE, groups=GROUPS, title=label).figure, "t", label)
    assert "<script>" not in svg


@pytest.mark.parametrize(("low", "high"), [(0.6, 1.25), (1, 1e5), (0.01, 100), (3, 3.2), (7, 90)])
def test_logarithmic_ticks_are_inside_and_few(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert len(ticks) <= 6
    assert all(low * 0.99 <= t <= high * 1.01 for t in ticks)
    assert len(ticks) >= (2 if high / low > 1.2 else 0)


def test_limits_of_nothing_are_still_limits() -> None:
    assert padded([]) == (0.0, 1.0)
    assert padded([np.nan, -1], log=True) == (0.5, 2.0)
    low, high = padded([3.0, 3.0])
    assert low < 3 < high
