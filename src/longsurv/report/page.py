"""The page: sections in order, put into the template, written to one file."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING

from longsurv.report.content import shown
from longsurv.report.guidelines import Location
from longsurv.report.sections import SECTIONS, Builder, Section, builder
from longsurv.report.sections.explorer import script, script_hash
from longsurv.tables.escape import printable
from longsurv.words import counted, plural

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from longsurv.study import StudyResults

# What matplotlib and SVG call a dash, for the legend above the small multiples.
_LEGEND_DASHES = ("", "12 5", "2.4 3.6", "14 5 2.4 5")


def render_page(results: StudyResults, build: Builder | None = None) -> str:
    """The whole report as one HTML document that needs nothing else.

    Parameters
    ----------
    results : StudyResults
    build : callable, optional
        Of the sections, where other documents show them too.
    """
    from markupsafe import Markup

    css = files("longsurv.report").joinpath("templates/page.css").read_text(encoding="utf-8")
    groups = [
        {"label": str(level), "dash": _LEGEND_DASHES[k % 4]}
        for k, level in enumerate(results.cohort.groups)
    ]
    build = build or builder(results)
    written = _environment().get_template("section.html.j2")

    places: dict[str, Location] = {}

    def body(section: Section) -> str:
        # Built and drawn in one go: a figure may fail only when it is drawn.
        built = build(section, places)
        text = written.render(id=section.id, groups=groups, **{section.id: built})
        places.update(shown(section, built))
        return text

    bodies = {}
    for section in SECTIONS:
        made, reason = results.faults.attempt(f"Section {section.title!r}", partial(body, section))
        bodies[section.id] = Markup(made) if made is not None else not_made(reason)
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(
            css=Markup(css),
            copying=Markup(copying()),
            script_hashes=[script_hash(text) for text in (script(), copying())],
            page=_head(results),
            sections=SECTIONS,
            bodies=bodies,
        )
    )
    return _unbroken(printable(page))


def _unbroken(page: str) -> str:
    """A number and its sign are not parted at the end of a line, nor is an equation of p."""
    page = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", page)
    return re.sub(r"\bp = (?=\d)", "p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}", page)


def copying() -> str:
    """The script of the buttons that copy."""
    return files("longsurv.report").joinpath("templates/copy.js").read_text(encoding="utf-8")


def not_made(reason: str) -> Markup:
    """What stands in place of a section that could not be made."""
    from markupsafe import Markup

    text = Markup('<p class="warning"><strong>This section could not be made.</strong> {}.</p>')
    return text.format(reason.rstrip("."))


def _head(results: StudyResults) -> dict[str, str]:
    cohort = results.cohort
    events = int(cohort.survival_data()["event"].sum())
    groups = ", ".join(f"{n:,} {level}" for level, n in cohort.n_by_group.items())
    measured = (
        f" {plural(len(cohort.measurements), 'measurement')} of"
        f" {plural(len(cohort.markers), 'marker')},"
        if cohort.markers
        else ""
    )
    lead = (
        f"{plural(len(cohort.patients), 'patient')} ({groups}),{measured}"
        f" {plural(events, counted(cohort.event_name))}. Every"
        " model is fitted by maximum likelihood and by Bayes; intervals are 95 %."
    )
    unsaid = cohort.reconstructed and not cohort.note.lower().startswith("reconstructed")
    if results.quick:
        lead += " Quick run: few posterior draws, for a first look only."
    return {
        "title": cohort.title or "Study report",
        "lead": lead,
        "note": cohort.note,
        "note_class": "banner" if cohort.reconstructed else "note",
        "note_title": "Reconstructed data." if unsaid else "",
        "footer": f"Made with longsurv {results.versions['longsurv']}. Seed"
        f" {results.study.sampling.seed}; data {results.data_hash[:12]}.",
    }


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = str(files("longsurv.report").joinpath("templates"))
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
