"""The page in a real browser, at the width of a desk and of a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, find_browser

from longsurv import numbers
from longsurv.priors import Normal
from longsurv.report.explorer import effects, reweighted
from longsurv.study import StudyResults

pytestmark = pytest.mark.skipif(find_browser() is None, reason="needs Chromium (apt: chromium)")

DESK, PHONE = 1100, 390


@pytest.fixture(scope="module")
def file(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("page") / "report.html"
    target.write_text(page, encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_loads_quietly_and_fits(browser: Browser, file: Path, width: int, dark: bool) -> None:
    browser.requests.clear()
    browser.open(file, width, dark=dark)
    assert browser.problems == []
    assert browser.requests == [file.resolve().as_uri()]
    assert browser.run("document.documentElement.scrollWidth") <= width
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(21, 25, 29)") == dark


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
    sceptical = Normal(effect.prior.mean, effect.prior.sd * 0.02**0.2)
    expected = reweighted(effect, sceptical, 0.15 * effect.largest)
    assert expected.trusted
    assert text(browser, "benefit") == numbers.probability(expected.prob_benefit)
    assert text(browser, "relevant-probability") == numbers.probability(expected.prob_relevant)
    assert text(browser, "benefit") != fitted

    slide(browser, "sd", 0)
    slide(browser, "centre", 0)
    assert text(browser, "benefit") == "not shown"
    assert browser.run("document.getElementById('explorer-warning').hidden") is False

    browser.run("document.getElementById('explorer-reset').click()")
    assert text(browser, "benefit") == fitted
    assert browser.problems == []


def test_every_effect_can_be_chosen(browser: Browser, file: Path, results: StudyResults) -> None:
    browser.open(file, DESK)
    for k, effect in enumerate(effects(results)):
        slide(browser, "effect", k)
        found = reweighted(effect, effect.prior)
        assert text(browser, "benefit") == numbers.probability(found.prob_benefit)
        assert browser.run("document.querySelectorAll('#explorer-plot text').length") >= 3
    assert browser.problems == []
