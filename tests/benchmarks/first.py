"""The first use of each kind of model on a machine: a fresh process, and nothing compiled yet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from timing import Row

COMMON = """
import resource, time
began = time.perf_counter()
import longsurv as ls
from longsurv.models import GLMM, LMM, CoxPH, Hazard, JointModel
cohort = ls.read_cohort(ls.example_path("pbc") / "study.toml")
visits, patients = cohort.marker_data("bili"), cohort.survival_data()
visits["high"] = (visits["y"] > visits["y"].median()).astype(int)
survival, growth = "Surv(entry, exit, event) ~ drug + age", "y ~ year * drug + (year | id)"
death = CoxPH(survival, patients, patient="id")
{use}
used = resource.getrusage(resource.RUSAGE_SELF)
print(time.perf_counter() - began, used.ru_utime + used.ru_stime)
"""

USES = {
    "LMM, fit": "LMM(growth, visits).fit().tidy()",
    "Cox, fit": "death.fit().tidy()",
    "Cox, Firth": "death.fit(penalty='firth').tidy()",
    "Hazard, fit": "Hazard(survival, patients, patient='id').fit().tidy()",
    "GLMM, fit": "GLMM('high ~ year * drug + (1 | id)', visits, family='bernoulli').fit().tidy()",
    "joint model, fit": "JointModel(LMM(growth, visits), death, time='year').fit().tidy()",
    "LMM, sample": "LMM(growth, visits).sample(draws=100, seed=1).tidy()",
    "Cox, sample": "death.sample(draws=100, seed=1).tidy()",
    "Hazard, sample": "Hazard(survival, patients, patient='id').sample(draws=100, seed=1).tidy()",
    "GLMM, sample": (
        "GLMM('high ~ year * drug + (1 | id)', visits, family='bernoulli')"
        ".sample(draws=100, seed=1).tidy()"
    ),
    "joint model, sample": (
        "JointModel(LMM(growth, visits), death, time='year').sample(draws=100, seed=1).tidy()"
    ),
}


def uses(folder: Path) -> Iterator[Row]:
    """Wall and CPU of each first use with an empty cache, and again with what that compiled."""
    for work, use in USES.items():
        cache = folder / work.replace(" ", "_").replace(",", "")
        for state in ("nothing compiled", "compiled"):
            wall, cpu = _process(COMMON.format(use=use), cache)
            yield Row(work, "longsurv", wall, note=f"{state}; imports included")
            yield Row(work, "longsurv", cpu, unit="s of CPU", note=state)


def _process(code: str, cache: Path) -> tuple[float, float]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    wall, cpu = map(float, done.stdout.split())
    return wall, cpu
