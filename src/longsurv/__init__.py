"""Marker trajectories and survival, by maximum likelihood and by Bayes from one statement.

The public names below are imported when they are first used, so that `import longsurv` is quick
and a maximum likelihood fit never loads PyMC. The models themselves are in `longsurv.models`, the
questions that take several of them in `longsurv.analyses`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longsurv import views
from longsurv.compiled import find_a_cache
from longsurv.lazy import lazily
from longsurv.version import __version__

if TYPE_CHECKING:
    from longsurv import analyses, diagnostics, estimands, models, priors
    from longsurv.analyses.imputation.imputation import Imputation
    from longsurv.cohort import Cohort, Marker, Phase, Schema, read_cohort, read_study, scores
    from longsurv.cohort.examples import example_path
    from longsurv.compare import compare
    from longsurv.design import Residual
    from longsurv.design.scanned.scan import scan
    from longsurv.draft import draft
    from longsurv.errors import DataError, EstimationError, FormulaError, LongsurvError
    from longsurv.results import Estimate, Posterior
    from longsurv.results.criteria import information_criteria
    from longsurv.results.nested import lrt
    from longsurv.results.pooled import pool
    from longsurv.simulate.characteristics import operating_characteristics
    from longsurv.simulate.next_trial import next_trial
    from longsurv.study import Study

__all__ = [
    "Cohort",
    "DataError",
    "Estimate",
    "EstimationError",
    "FormulaError",
    "Imputation",
    "LongsurvError",
    "Marker",
    "Phase",
    "Posterior",
    "Residual",
    "Schema",
    "Study",
    "__version__",
    "analyses",
    "compare",
    "diagnostics",
    "draft",
    "estimands",
    "example_path",
    "information_criteria",
    "lrt",
    "models",
    "next_trial",
    "operating_characteristics",
    "pool",
    "priors",
    "read_cohort",
    "read_study",
    "scan",
    "scores",
]

# Where each public name lives: "module" for a module, "module:name" for what is in one.
_HOMES = {
    "Cohort": "longsurv.cohort:Cohort",
    "DataError": "longsurv.errors:DataError",
    "EstimationError": "longsurv.errors:EstimationError",
    "Estimate": "longsurv.results:Estimate",
    "FormulaError": "longsurv.errors:FormulaError",
    "Imputation": "longsurv.analyses.imputation.imputation:Imputation",
    "LongsurvError": "longsurv.errors:LongsurvError",
    "Marker": "longsurv.cohort:Marker",
    "Phase": "longsurv.cohort:Phase",
    "Posterior": "longsurv.results:Posterior",
    "Residual": "longsurv.design:Residual",
    "Schema": "longsurv.cohort:Schema",
    "Study": "longsurv.study:Study",
    "analyses": "longsurv.analyses",
    "compare": "longsurv.compare:compare",
    "diagnostics": "longsurv.diagnostics",
    "draft": "longsurv.draft:draft",
    "estimands": "longsurv.estimands",
    "example_path": "longsurv.cohort.examples:example_path",
    "information_criteria": "longsurv.results.criteria:information_criteria",
    "lrt": "longsurv.results.nested:lrt",
    "models": "longsurv.models",
    "next_trial": "longsurv.simulate.next_trial:next_trial",
    "operating_characteristics": "longsurv.simulate.characteristics:operating_characteristics",
    "pool": "longsurv.results.pooled:pool",
    "priors": "longsurv.priors",
    "read_cohort": "longsurv.cohort:read_cohort",
    "read_study": "longsurv.cohort:read_study",
    "scan": "longsurv.design.scanned.scan:scan",
    "scores": "longsurv.cohort.scores",
}


def _report() -> views.Shows:
    from longsurv import report

    return report


views.report = _report
lazily(__name__, _HOMES)
find_a_cache()  # before numba sees the first kernel
