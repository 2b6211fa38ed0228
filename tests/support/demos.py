"""Both studies of the examples, run once, with few draws, and their pages, drawn once."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from longsurv.study import STAGES, Study, StudyResults

EXAMPLES = Path(__file__).parents[2] / "examples"
LEFT_OUT = {"joint", "panel", "scores"}


@cache
def demo(name: str) -> StudyResults:
    """A study of the examples without its slowest stages."""
    study = Study.from_toml(EXAMPLES / name / "study.toml")
    study = replace(study, sampling=replace(study.sampling, draws=60, chains=2))
    return study.run(progress=False, stages=tuple(s for s in STAGES if s.key not in LEFT_OUT))


@cache
def demo_page(name: str) -> str:
    """The page of that study."""
    from longsurv.report.page import render_page

    return render_page(demo(name))
