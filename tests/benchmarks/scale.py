"""Time and memory against patients, of tables in Parquet files that are read in pieces.

Each fit is a process of its own, so that its memory is its own; files are made before it starts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cox
import joint
import numpy as np
import pandas as pd
from timing import Row, r_seconds

AT_ONCE = 500_000
"""Patients of a file."""
SIZES = {"LMM": (100_000, 1_000_000, 10_000_000), "Cox": (200_000, 2_000_000, 20_000_000)}
JOINT = (100_000, 1_000_000)
GROWTH = "y ~ time * arm + (time | id)"

FIT = """
import sys, time
import longsurv as ls
from longsurv.models import LMM, CoxPH, JointModel, value
folder = sys.argv[1]
began = time.perf_counter()
{fit}
spent = time.perf_counter() - began
# Of this process alone: what getrusage has begins with that of the one before it.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(spent, float(peak.split()[1]) / 2**20)
"""
FITS = {
    "LMM": f"LMM({GROWTH!r}, ls.scan(folder)).fit().tidy()",
    "Cox": f"CoxPH({cox.FORMULA!r}, ls.scan(folder)).fit().tidy()",
    "joint": (
        "growth = LMM('y ~ t + t:treated + (t | id)', ls.scan(folder + '/visits'))\n"
        "death = CoxPH('Surv(stop, event) ~ treated', ls.scan(folder + '/patients'))\n"
        "JointModel(growth, death, time='t', baseline='weibull').fit().tidy(component='all')"
    ),
}


def scale(folder: Path) -> Iterator[Row]:
    """A random slope and five visits a patient; Cox with ten covariates; both jointly."""
    for n in SIZES["LMM"]:
        yield from _measured("LMM", f"REML, {n:,} x 5, slope", n, folder, _visits)
        if n == min(SIZES["LMM"]):
            found = r_seconds("bench_lme4", next(_visits(n))[1], folder, GROWTH, "1")
            if found:
                yield Row(f"REML, {n:,} x 5, slope", "R lme4, in memory", found[1])
    for n in SIZES["Cox"]:
        yield from _measured("Cox", f"Cox, {n:,} x 10", n, folder, _patients)
    for n in JOINT:
        yield from _measured("joint", f"joint model, {n:,} patients", n, folder, _both)


type Tables = Iterator[tuple[str, pd.DataFrame]]


def _measured(
    kind: str, work: str, n: int, folder: Path, made: Callable[[int], Tables]
) -> Iterator[Row]:
    """Wall time and peak memory of a fit, the process and its libraries included."""
    files = folder / "scale"
    for name, table in made(n):
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(files / name, index=False)
    command = [sys.executable, "-c", FIT.format(fit=FITS[kind]), str(files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
    shutil.rmtree(files)
    spent, peak = map(float, done.stdout.split())
    yield Row(work, "longsurv, Parquet to table", spent, note=f"{1e6 * spent / n:.3g} us a patient")
    yield Row(work, "longsurv", peak, "GB at the peak", f"{1e9 * peak / n:.3g} bytes a patient")


def _visits(n: int) -> Tables:
    rng = np.random.default_rng(1)
    for k, start in enumerate(range(0, n, AT_ONCE)):
        size = min(AT_ONCE, n - start)
        who, time = np.repeat(np.arange(size), 5), np.tile(np.arange(5) * 0.25, size)
        arm, b = rng.integers(0, 2, size)[who], (rng.normal(size=(size, 2)) * [0.7, 0.3])[who]
        y = 1.0 + 0.2 * time + 0.3 * arm + 0.1 * time * arm + b[:, 0] + b[:, 1] * time
        y += 0.5 * rng.normal(size=len(y))
        labels = np.array(["control", "active"])[arm]
        columns = {"id": who + start, "time": time, "arm": labels, "y": y}
        yield f"{k:03d}.parquet", pd.DataFrame(columns)


def _patients(n: int) -> Tables:
    for k, start in enumerate(range(0, n, AT_ONCE)):
        yield f"{k:03d}.parquet", cox.simulated_cohort(min(AT_ONCE, n - start), seed=k + 1)


def _both(n: int) -> Tables:
    visits, patients = joint.cohort(n)
    yield "visits/000.parquet", visits
    yield "patients/000.parquet", patients
