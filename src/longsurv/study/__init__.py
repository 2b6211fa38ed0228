"""A study file, everything it asks for, and the results in one object.

study.py          what to do: the cohort, the formulas, the sampling
stages.py         how: the stages of a run, one entry each (a new analysis is a new entry)
marker_stages.py  the stages that ask more of the markers
bench.py          what a stage is given: fits by way of the store, progress, what came before
refit.py          stored answers put together again
progress.py       the lines on the terminal
results.py        what came of it
"""

from longsurv.study.bench import Bench
from longsurv.study.progress import Progress
from longsurv.study.results import MORTALITY, ModelResult, StudyResults
from longsurv.study.stages import STAGES, Stage
from longsurv.study.study import QUICK_DRAWS, Study, model_seed

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
