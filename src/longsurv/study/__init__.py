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
"""

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
