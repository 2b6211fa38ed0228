"""A study file, everything it asks for, and the results in one object.

plan.py           what to do: the cohort, the formulas, the sampling
study.py          a plan that is run
stages.py         how: the stages of a run, one entry each (a new analysis is a new entry)
marker_stages.py  the stages that ask more of the markers
deaths.py         those about mortality; joint_stage.py that of markers and outcome together
bench.py          what a stage is given: fits by way of the store, progress, what came before
store.py          finished results on disk
refit.py          stored answers put together again
progress.py       the lines on the terminal
found.py          what the stages found; results.py adds the tables made of it (tables/)

Its public names, imported when they are first used:

    MORTALITY      the name of the mortality model among the results
    QUICK_DRAWS    draws of a first look
    STAGES         all stages of a run
    Bench          what a stage is given
    ModelResult    one model's answers by both engines
    Progress       the lines on the terminal
    Stage          one entry of a run
    Study          a study file that can be run
    StudyResults   what a run found
    model_seed     the seed of a model's sampler
"""

from typing import TYPE_CHECKING

from longsurv.lazy import lazily

if TYPE_CHECKING:
    from longsurv.study.bench import Bench
    from longsurv.study.model_result import MORTALITY, ModelResult
    from longsurv.study.plan import QUICK_DRAWS, model_seed
    from longsurv.study.progress import Progress
    from longsurv.study.results import StudyResults
    from longsurv.study.stages import STAGES, Stage
    from longsurv.study.study import Study

__all__ = [
    "MORTALITY",
    "QUICK_DRAWS",
    "STAGES",
    "Bench",
    "ModelResult",
    "Progress",
    "Stage",
    "Study",
    "StudyResults",
    "model_seed",
]

_MODULES = {
    "bench": ("Bench",),
    "model_result": ("MORTALITY", "ModelResult"),
    "plan": ("QUICK_DRAWS", "model_seed"),
    "progress": ("Progress",),
    "results": ("StudyResults",),
    "stages": ("STAGES", "Stage"),
    "study": ("Study",),
}
"""The public names of each module."""

lazily(__name__, {n: f"{__name__}.{m}:{n}" for m, names in _MODULES.items() for n in names})
