from __future__ import annotations

import re
from fractions import Fraction
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from two_groups import swapped

from longsurv.estimands.counts import Counts
from longsurv.estimands.tipping import tipping_grid
from longsurv.figures import incidence, method_forest, prior_grid, tipping, to_svg
from longsurv.figures.place import UNITS_PER_INCH
from longsurv.figures.rows import GOES_DOWN
from longsurv.figures.style import GROUP_COLOURS

HOSTILE = '<script>alert("x")</script> & $\\frac{1$ ' + "long " * 40
COUNTS = Counts(1, 19, 4, 22)
METHODS = pd.DataFrame({
    "section": ["Simple", "From a model", "From a model", "Bayes"],
    "row": ["2 x 2, Newcombe", "Cox, Wald", "Overlap weights", HOSTILE],
    "series": ["Frequentist", "Frequentist", "Frequentist", "Bayes"],
    "estimate": [0.29, 0.24, np.nan, 0.5], "conf_low": [0.04, 1e-6, np.nan, 0.13],
    "conf_high": [2.4, 2.1, np.nan, 1.9],
    "text": ["0.29 (0.04 to 2.4)", "0.24 (0 to 2.1)", "", "0.50 (0.13 to 1.9)"],
})  # fmt: skip
STEPS = pd.DataFrame({
    "cause": ["death"] * 4 + ["discharge alive"] * 4, "group": ["a", "a", "b", "b"] * 2,
    "time": [7.0, 28.0] * 4, "estimate": [0, 0.2, 0, 0.1, 0, 0.4, 0, 0.3],
    "conf_low": [0, 0.1, 0, 0.05, 0, 0.2, 0, 0.1], "conf_high": [0, 0.4, 0, 0.3, 0, 0.6, 0, 0.5],
})  # fmt: skip


def densities(names: tuple[str, ...]) -> pd.DataFrame:
    x = np.linspace(-3, 2, 101)
    bell = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    parts = [
        pd.DataFrame({"prior": name, "log_ratio": x, "prior_density": bell,
                      "posterior_density": np.roll(bell, -10)})
        for name in names
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def draw(name: str, width: float):
    if name == "methods":
        return method_forest(METHODS, xlabel="Hazard ratio", log=True, width=width,
                             text_heading="95 % interval", left_label="lower in b",
                             right_label="higher in b")  # fmt: skip
    if name == "incidence":
        return incidence(STEPS, groups=["a", "b"], xlabel="Days", ticks=[7, 14, 21, 28],
                         width=width)  # fmt: skip
    if name == "priors":
        names = ("flat-ish", "weak", "sceptical", "enthusiastic", "pessimistic")
        return prior_grid(densities(names), subtitles={"weak": "P(HR < 1) = 0.85"}, width=width)
    return tipping(tipping_grid(COUNTS, 8), group=HOSTILE, reference="control", width=width)


NAMES = ("methods", "incidence", "priors", "tipping")


@pytest.mark.parametrize("width", [860, 358])
@pytest.mark.parametrize("name", NAMES)
def test_svg_is_well_formed_and_its_text_is_inside(name: str, width: float) -> None:
    figure = draw(name, width).figure
    svg = to_svg(figure, name, 'a "label"')
    assert svg == to_svg(draw(name, width).figure, name, 'a "label"')
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == 'a "label"'
    assert "<script" not in svg
    assert all(i.startswith(f"{name}-") for i in re.findall(r'\bid="([^"]+)"', svg))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for text in figure.findobj(mpl.text.Text):
        box = text.get_window_extent(canvas.get_renderer())
        if text.get_text().strip() and text.get_visible():
            assert box.x0 >= -2 and box.x1 <= figure.bbox.width + 2, text.get_text()
            assert box.y0 >= -2 and box.y1 <= figure.bbox.height + 2, text.get_text()


@pytest.mark.parametrize("width", [860, 358])
def test_methods_are_marked_at_their_estimates_and_one_without_says_so(width: float) -> None:
    ax = draw("methods", width)
    at = [float(line.get_xdata()[0]) for line in ax.lines
          if line.get_marker() in ("o", "D") and len(line.get_xdata()) == 1]  # fmt: skip
    assert at == [0.29, 0.24, 0.5]
    assert sum("no usable answer" in text.get_text() for text in ax.texts) == 1
    assert any(line.get_marker() == list(GOES_DOWN) for line in ax.lines), (
        "an endless interval goes on"
    )


def test_every_cause_has_a_panel_on_one_scale() -> None:
    panels = draw("incidence", 860).figure.axes
    assert [ax.get_title(loc="left") for ax in panels] == ["death", "discharge alive"]
    assert panels[0].get_ylim() == panels[1].get_ylim()
    assert panels[0].get_ylim()[1] >= 0.6
    ends = [sorted(float(line.get_ydata()[-1]) for line in ax.lines) for ax in panels]
    assert ends == [[0.1, 0.2], [0.3, 0.4]]


def test_every_prior_has_a_panel_with_both_curves() -> None:
    ax = draw("priors", 860)
    panels = ax.figure.axes
    assert len(panels) == 5
    assert len({p.get_xlim() for p in panels}) == 1
    prior = panels[1].lines[1].get_ydata()
    assert max(prior) == pytest.approx(1 / np.sqrt(2 * np.pi))
    assert any(t.get_text() == "P(HR < 1) = 0.85" for t in panels[1].texts)


@pytest.mark.parametrize("counts", [COUNTS, swapped(COUNTS)])
def test_a_cell_has_the_colour_of_the_group_that_fares_better(counts: Counts) -> None:
    grid = tipping_grid(counts, 6)
    ax = tipping(grid, group="drug", reference="placebo")
    cells = {(round(p.get_x() + 0.5), round(p.get_y() + 0.5)): p for p in ax.patches
             if isinstance(p, Rectangle)}  # fmt: skip
    assert len(cells) == 49
    for row in grid.to_dict("records"):
        patch = cells[row["extra"], row["extra_reference"]]
        lower = row["prob_benefit"] > 0.5
        assert patch.get_facecolor()[:3] == mpl.colors.to_rgb(GROUP_COLOURS[1 if lower else 0])
        assert patch.get_alpha() == pytest.approx(1.2 * abs(row["prob_benefit"] - 0.5))


def test_the_line_separates_the_cells_in_which_the_group_has_the_lower_risk() -> None:
    ax = tipping(tipping_grid(COUNTS, 8), group="drug", reference="placebo")
    drawn = {(tuple(line.get_xdata()), tuple(line.get_ydata())) for line in ax.lines
             if len(line.get_xdata()) == 2}  # fmt: skip
    lower = {(x, y): Fraction(1 + x, 19 + x) < Fraction(4 + y, 22 + y)
             for x in range(9) for y in range(9)}  # fmt: skip
    expected = {((x + 0.5, x + 0.5), (y - 0.5, y + 0.5)) for x, y in lower
                if (x + 1, y) in lower and lower[x, y] != lower[x + 1, y]}  # fmt: skip
    expected |= {((x - 0.5, x + 0.5), (y + 0.5, y + 0.5)) for x, y in lower
                 if (x, y + 1) in lower and lower[x, y] != lower[x, y + 1]}  # fmt: skip
    assert drawn == expected
    assert len(drawn) > 8


def test_many_unseen_deaths_are_drawn_without_numbers() -> None:
    ax = tipping(tipping_grid(Counts(30, 100, 60, 100), 20), group="drug", reference="placebo",
                 width=358)  # fmt: skip
    assert not [t for t in ax.texts if t.get_text().startswith(".")]
    assert len(ax.get_xticks()) <= 6


@pytest.mark.parametrize("most", [4, 8, 12, 13, 16, 24])
@pytest.mark.parametrize("width", [358, 860])
def test_a_grid_of_unseen_deaths_is_no_page_of_its_own(width: float, most: int) -> None:
    ax = tipping(tipping_grid(COUNTS, most), group="drug", reference="placebo", width=width)
    assert UNITS_PER_INCH * ax.get_figure().get_figheight() < 600
