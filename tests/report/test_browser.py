"""The page in a real browser, from the width of a phone to that of a large screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import NO_BROWSER, Browser, find_browser
from fits import faint, misfits

from longsurv import numbers
from longsurv.priors import TREATMENT, Normal
from longsurv.report.explorer import effects, reweighted, risk_difference
from longsurv.study import StudyResults

pytestmark = pytest.mark.skipif(find_browser() is None, reason=NO_BROWSER)

DESK, PHONE = 1100, 390
WIDTHS = (320, 390, 768, 1200, 1920)


@pytest.fixture(scope="module")
def file(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("page") / "report.html"
    target.write_text(page, encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def test_loads_quietly_and_nothing_is_cut_at_any_width(browser: Browser, file: Path) -> None:
    """Every fold open, light and dark: one page, resized as a reader would."""
    browser.requests.clear()
    browser.open(file, WIDTHS[0])
    browser.run("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    found = {}
    for dark in (False, True):
        for width in WIDTHS:
            browser.resize(width, dark=dark)
            found[width, dark] = misfits(browser, width)
            if width == WIDTHS[0]:
                assert faint(browser) == []
            paper = browser.run("getComputedStyle(document.body).backgroundColor")
            assert (paper == "rgb(21, 25, 29)") == dark
    assert {k: v for k, v in found.items() if v} == {}
    assert browser.problems == []
    assert browser.requests == [file.resolve().as_uri()]


def test_what_is_cut_is_found(browser: Browser, file: Path) -> None:
    """Else the test above could not fail."""
    browser.open(file, DESK)
    assert misfits(browser, DESK) == []
    for spoilt in (
        "document.querySelector('.table:not(.stacked)').style.overflow = 'hidden'",
        "document.querySelector('svg.figure').setAttribute('viewBox', '60 0 300 400')",
        "document.querySelector('p').style.cssText = 'width: 2rem; white-space: nowrap'",
    ):
        browser.open(file, PHONE)
        browser.run(spoilt)
        assert misfits(browser, PHONE), spoilt


def test_what_is_faint_is_found(browser: Browser, file: Path) -> None:
    browser.open(file, DESK)
    browser.run("document.querySelector('h1').style.color = '#aaa'")
    browser.run("document.querySelector('svg.figure text').style.fill = '#999'")
    assert len(faint(browser)) == 2


def test_keyboard_goes_past_the_head_and_everything_has_a_name(
    browser: Browser, file: Path
) -> None:
    browser.open(file, DESK)
    press = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    browser.send("Input.dispatchKeyEvent", type="keyDown", **press)
    focused = browser.run("document.activeElement.className")
    assert focused == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().left") >= 0
    target = browser.run("document.activeElement.hash.slice(1)")
    assert browser.run(f"document.getElementById({target!r}) !== null")
    names = browser.run("""[...document.querySelectorAll(
      'input, select, button, [tabindex="0"], svg[role=img], nav, table')].filter(e =>
      !(e.ariaLabel || e.labels?.length || e.textContent.trim())).map(e => e.outerHTML)""")
    assert names == []


def test_contents_stay_in_sight_on_a_wide_screen_only(browser: Browser, file: Path) -> None:
    browser.open(file, 1300)
    top = "document.querySelector('nav').getBoundingClientRect().top"
    for width, there in ((1300, True), (PHONE, False)):
        browser.resize(width)
        browser.run("scrollTo({top: document.body.scrollHeight / 2, behavior: 'instant'})")
        assert (0 <= browser.run(top) < 200) == there


def test_on_a_phone_row_names_stay_and_short_tables_stack(browser: Browser, file: Path) -> None:
    browser.open(file, PHONE)
    browser.run("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    moved = browser.run("""(() => {
      const wide = [...document.querySelectorAll('.table:not(.stacked)')]
        .filter(box => box.scrollWidth > box.clientWidth + 40);
      return wide.map(box => {
        const name = box.querySelector('tbody th'), before = name.getBoundingClientRect().left;
        box.scrollLeft = 40;
        return Math.abs(name.getBoundingClientRect().left - before);
      });
    })()""")
    assert len(moved) > 3
    assert max(moved) <= 1
    stacked = browser.run("""[...document.querySelectorAll('.stacked')].map(box =>
      box.scrollWidth <= box.clientWidth + 1 && box.querySelector('tbody td').clientWidth > 250)""")
    assert len(stacked) > 3
    assert all(stacked)


def test_on_paper_every_figure_has_room_on_one_page(browser: Browser, file: Path) -> None:
    """The pages of A4 are longer than those of letter, and those narrower: the worse of both."""
    width, height = 680, 247 * 96 / 25.4  # of letter, without its margins, in CSS pixels
    browser.open(file, width)
    browser.send("Emulation.setEmulatedMedia", media="print")
    try:
        told = browser.run("""[...document.querySelectorAll('figure:not(.multiples)')].map(e =>
          [e.getBoundingClientRect().height, getComputedStyle(e).breakInside])""")
    finally:
        browser.send("Emulation.setEmulatedMedia", media="")
    assert len(told) > 10
    assert max(tall for tall, _ in told) < height
    assert {kept for _, kept in told} == {"avoid"}


def test_on_paper_no_table_is_cut_and_rows_stay_with_their_name(
    browser: Browser, file: Path
) -> None:
    """Those that are not turned fit on A4 on end, as wide as the fonts at hand make them."""
    browser.open(file, int(182 * 96 / 25.4))
    browser.send("Emulation.setEmulatedMedia", media="print")
    try:
        browser.run("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        wide = browser.run("""[...document.querySelectorAll('.table:not(.broad)')].map(box =>
          [box.querySelector('table').getBoundingClientRect().width - box.clientWidth,
           box.getAttribute('aria-label')])""")
        kept = browser.run("""[...document.querySelectorAll('tbody td:first-child')]
          .filter(cell => !cell.textContent).map(cell =>
            getComputedStyle(cell.parentElement).breakBefore)""")
    finally:
        browser.send("Emulation.setEmulatedMedia", media="")
    assert len(wide) > 20
    assert [label for over, label in wide if over > 1] == []
    assert len(kept) > 5 and set(kept) == {"avoid"}


def slide(browser: Browser, name: str, value: int) -> None:
    browser.run(
        f"(() => {{ const e = document.getElementById('explorer-{name}'); e.value = {value};"
        f" e.dispatchEvent(new Event(e.tagName === 'SELECT' ? 'change' : 'input')) }})()"
    )


def text(browser: Browser, name: str) -> str:
    return browser.run(f"document.getElementById('explorer-{name}').textContent")


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_the_explorer_gives_what_python_gives(
    browser: Browser, file: Path, results: StudyResults, width: int
) -> None:
    browser.open(file, width)
    effect = effects(results)[0]
    fitted = text(browser, "benefit")
    assert fitted == numbers.probability(reweighted(effect, effect.prior).prob_benefit)

    slide(browser, "sd", 160)
    widest = effect.drawn_under.sd
    narrower = Normal(effect.prior.mean, widest * (effect.narrowest / widest) ** 0.2)
    expected = reweighted(effect, narrower, 0.15 * effect.largest)
    assert expected.trusted
    assert text(browser, "benefit") == numbers.probability(expected.prob_benefit)
    assert text(browser, "relevant-probability") == numbers.probability(expected.prob_relevant)
    assert text(browser, "benefit") != fitted

    slide(browser, "sd", 0)
    slide(browser, "centre", 200)
    assert text(browser, "benefit") == "not shown"
    assert browser.run("document.getElementById('explorer-warning').hidden") is False

    browser.run("document.getElementById('explorer-reset').click()")
    assert text(browser, "benefit") == fitted
    assert browser.problems == []


def test_named_priors_are_buttons_and_sliders_say_their_values(
    browser: Browser, file: Path, results: StudyResults
) -> None:
    browser.open(file, DESK)
    effect = effects(results)[0]
    offered = {n: prior for n, prior in TREATMENT.items() if prior.sd <= effect.drawn_under.sd}
    labels = "[...document.querySelectorAll('#explorer-named button')].map(b => b.textContent)"
    assert browser.run(labels) == list(offered) == list(TREATMENT)
    for k, prior in enumerate(offered.values()):
        browser.run(f"document.querySelectorAll('#explorer-named button')[{k}].click()")
        expected = reweighted(effect, prior)
        if not expected.trusted:
            assert text(browser, "benefit") == text(browser, "risk") == "not shown"
            continue
        assert text(browser, "benefit") == numbers.probability(expected.prob_benefit)
        point, *ends = (
            numbers.fixed(risk_difference(x, effect.risk), 1)
            for x in (expected.median, expected.low, expected.high)
        )
        assert text(browser, "risk") == f"{point} ({ends[0]} to {ends[1]})"
        assert f"{100 * effect.risk:.1f}" in text(browser, "risk-name")
        for name in ("centre", "sd", "relevant"):
            said = f"document.getElementById('explorer-{name}').getAttribute('aria-valuetext')"
            assert browser.run(said) == text(browser, f"{name}-text") != ""
    assert browser.problems == []


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_every_effect_can_be_chosen(
    browser: Browser, file: Path, results: StudyResults, width: int
) -> None:
    browser.open(file, width)
    for k, effect in enumerate(effects(results)):
        slide(browser, "effect", k)
        found = reweighted(effect, effect.prior)
        assert text(browser, "benefit") == numbers.probability(found.prob_benefit)
        assert browser.run("document.querySelectorAll('#explorer-plot text').length") >= 3
        ticks = "'#explorer-plot line.axis[y2=\"218\"]'"
        labels = "'#explorer-plot text:not(.label)'"
        apart = browser.run(
            f"(() => {{ const at = [...document.querySelectorAll({ticks})].map(e => e.x1.baseVal);"
            f" return [...document.querySelectorAll({labels})].map((e, k) =>"
            " Math.abs(e.x.baseVal[0].value - at[k].value)); })()"
        )
        assert len(apart) >= 2 and max(apart) < 0.5, "a label stands under its tick"
        assert misfits(browser, width) == []
    assert browser.problems == []
