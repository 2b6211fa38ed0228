from __future__ import annotations

import json
import re
import subprocess

import numpy as np
import pandas as pd
import pytest
from browser import NO_BROWSER, find_browser
from outline import Outline

from longsurv.cohort import Cohort, Schema
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.errors import LongsurvError
from longsurv.files import writable
from longsurv.report.page import render_page
from longsurv.report.sections import SECTIONS
from longsurv.study import Study


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    assert not parser.open
    return parser


def test_every_section_is_there_and_linked(outline: Outline) -> None:
    ids = {attrs["id"] for tag, attrs in outline.elements if tag == "section"}
    links = {attrs["href"] for tag, attrs in outline.elements if tag == "a"}
    assert ids == {section.id for section in SECTIONS}
    assert links == {f"#{section.id}" for section in SECTIONS}


def test_ids_are_unique_and_references_have_targets(page: str, outline: Outline) -> None:
    ids = [attrs["id"] for _, attrs in outline.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)


def test_the_page_needs_nothing_from_outside(page: str, outline: Outline) -> None:
    for tag, attrs in outline.elements:
        assert tag not in ("link", "iframe", "object", "img"), tag
        for name in ("src", "href", "xlink:href", "action"):
            value = attrs.get(name)
            assert value is None or value.startswith("#"), value
        assert not any(name.startswith("on") for name in attrs), attrs
    assert "@import" not in page
    assert len(page) < 5_000_000


def test_hostile_labels_are_text(page: str, outline: Outline) -> None:
    assert "<script>alert" not in page
    assert "<b>tests</b>" not in page
    assert '<script>alert("x")</script>' in " ".join(outline.text)


def test_every_figure_has_a_text_alternative(outline: Outline) -> None:
    pictures = [attrs for tag, attrs in outline.elements
                if tag == "svg" and attrs.get("aria-hidden") != "true"]  # fmt: skip
    assert len(pictures) >= 4 + 2 + 2 + 2
    assert all(a["role"] == "img" and len(a["aria-label"] or "") > 20 for a in pictures)


def test_tables_are_labelled_and_scroll_in_their_own_box(outline: Outline) -> None:
    boxes = [
        attrs for tag, attrs in outline.elements if "table" in (attrs.get("class") or "").split()
    ]
    tables = [tag for tag, _ in outline.elements if tag == "table"]
    assert len(boxes) == len(tables) >= 10
    assert all(box["aria-label"] and box["tabindex"] == "0" for box in boxes)


def test_what_must_be_said_is_said(outline: Outline) -> None:
    whole = " ".join(outline.text)
    text = re.sub(r"\s+", " ", whole)
    for words in (
        "Reconstructed data", "not formed at random", "Only 5 events (death)", "given still under",
        "Standardised difference", "every value is the same", "no patient has a second value",
        "Holm", "Normal(0, 1)", "Seed",
        "P(HR < 1)", "95 % confidence interval", "longsurv 0.",
    ):  # fmt: skip
        assert words in text, words
    assert "95 %" not in whole, "a no-break space belongs there"
    assert "nan" not in re.findall(r"\bnan\b", text)


def test_the_page_is_the_same_for_the_same_results(page: str, results) -> None:
    assert render_page(results) == page


def test_colours_of_both_schemes_cover_what_the_figures_use(page: str) -> None:
    used = set(re.findall(r"var\((--[\w-]+)", page))
    light, dark = re.findall(r":root \{(.*?)\}", page, flags=re.S)[:2]
    assert used <= set(re.findall(r"(--[\w-]+):", light))
    colours = {v for v in used if v not in ("--serif", "--sans")}
    assert colours <= set(re.findall(r"(--[\w-]+):", dark))


def test_over_time_the_change_is_per_unit_of_time(over_time) -> None:
    page = render_page(over_time)
    assert "change per day" in page
    assert "baseline SD per day" in page


def test_a_study_without_markers_is_still_a_report() -> None:
    rng = np.random.default_rng(1)
    patients = pd.DataFrame({
        "id": range(60), "arm": ["a", "b", "c"] * 20, "t": rng.exponential(10, 60) + 0.1,
        "d": ([1, 0, 0] * 19 + [0, 0, 0]),
    })  # fmt: skip
    schema = Schema(
        patient="id", treatment="arm", reference="a", levels=("a", "b", "c"), exit="t", status="d"
    )
    study = Study(Cohort(patients, None, schema), ModelSettings("", "arm"), SamplingSettings(200))
    results = study.run(progress=False)
    page = render_page(results)
    assert "The study has no markers" in page
    assert "No deaths" not in page
    assert results.changes.empty
    parser = Outline()
    parser.feed(page)
    assert not parser.open


def test_where_the_report_cannot_go_is_said_plainly(tmp_path) -> None:
    with pytest.raises(LongsurvError, match="is a folder"):
        writable(tmp_path)
    with pytest.raises(LongsurvError, match="does not exist"):
        writable(tmp_path / "no" / "report.html")
    assert writable(tmp_path / "report.html") == tmp_path / "report.html"


@pytest.mark.slow
@pytest.mark.skipif(find_browser() is None, reason=NO_BROWSER)
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_without_sideways_scrolling(page: str, tmp_path, width: int) -> None:
    """The page sits in a frame of the given width; a script beside it measures the overflow."""
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    (tmp_path / "frame.html").write_text(
        f'<iframe id="f" src="report.html" width="{width}" height="900"></iframe><pre id="o"></pre>'
        "<script>f.onload = () => { const d = f.contentDocument, e = d.documentElement;"
        " o.textContent = JSON.stringify({wide: e.scrollWidth, seen: e.clientWidth,"
        " sections: d.querySelectorAll('section').length}) }</script>",
        encoding="utf-8",
    )
    found = subprocess.run(
        [find_browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}",
         "--window-size=1400,1000", "--virtual-time-budget=5000", "--dump-dom",
         (tmp_path / "frame.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    measured = json.loads(re.search(r'<pre id="o">(.*?)</pre>', found.stdout).group(1))
    assert measured["sections"] == len(SECTIONS)
    assert measured["wide"] <= measured["seen"]
