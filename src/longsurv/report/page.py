"""The page: sections in order, put into the template, written to one file."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longsurv.errors import LongsurvError
from longsurv.report.figures.svg import printable
from longsurv.report.sections import SECTIONS
from longsurv.report.sections.common import event_name
from longsurv.report.sections.explorer import script_hash
from longsurv.report.sentences import plural

if TYPE_CHECKING:
    from jinja2 import Environment

    from longsurv.study import StudyResults

# What matplotlib and SVG call a dash, for the legend above the small multiples.
_LEGEND_DASHES = ("", "12 5", "2.4 3.6", "14 5 2.4 5")


def render_page(results: StudyResults) -> str:
    """The whole report as one HTML document that needs nothing else."""
    from markupsafe import Markup

    css = files("longsurv.report").joinpath("templates/page.css").read_text(encoding="utf-8")
    context: dict[str, Any] = {section.id: section.build(results) for section in SECTIONS}
    groups = [
        {"label": str(level), "dash": _LEGEND_DASHES[k % 4]}
        for k, level in enumerate(results.cohort.groups)
    ]
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(
            css=Markup(css),
            script_hash=script_hash(),
            page=_head(results),
            sections=SECTIONS,
            groups=groups,
            **context,
        )
    )
    return printable(page).replace("95 %", "95\N{NO-BREAK SPACE}%")


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
        f" {plural(events, event_name(cohort))}. Every"
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


def writable(path: str | Path) -> Path:
    """`path` as a file that can be written, or a plain message why not.

    Raises
    ------
    LongsurvError
        If it is a folder, or its folder does not exist.
    """
    target = Path(path)
    if target.is_dir():
        raise LongsurvError(
            f"{target} is a folder; give a file name in it, e.g. {target / 'report.html'}"
        )
    if not target.parent.is_dir():
        raise LongsurvError(
            f"the folder {target.parent} does not exist; make it first, or write the report"
            " elsewhere"
        )
    return target
