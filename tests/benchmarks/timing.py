"""Timing: medians of repeated runs after a warm-up, and rows of the printed table."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

REFERENCE = Path(__file__).resolve().parents[1] / "reference"


@dataclass(frozen=True)
class Row:
    """One measured figure: seconds unless `unit` says otherwise."""

    work: str
    tool: str
    value: float
    unit: str = "s"
    note: str = ""


def seconds(run: Callable[[], Any], repeats: int = 5) -> float:
    """Median wall time of `run`, after one run that is not counted."""
    run()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def once(run: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time and result of a single run, for work too long to repeat."""
    began = time.perf_counter()
    result = run()
    return time.perf_counter() - began, result


def r_seconds(script: str, data: pd.DataFrame, folder: Path, *arguments: str) -> list[float] | None:
    """Run one of the timing scripts in tests/reference; None where there is no R or it fails.

    Returns the numbers it printed after the tool's name.
    """
    if shutil.which("Rscript") is None:
        return None
    path = folder / f"{script}.csv"
    data.to_csv(path, index=False)
    command = ["Rscript", str(REFERENCE / f"{script}.R"), str(path), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        print(f"  ({script}.R did not run: {result.stderr.strip().splitlines()[-1:]})")
        return None
    fields = result.stdout.strip().splitlines()[-1].split(",")
    return [float(f) for f in fields if _is_number(f)]


def peer_seconds(
    tool: str, data: pd.DataFrame, folder: Path, formula: str, repeats: int, family: str = ""
) -> float | None:
    """Seconds that another Python package takes (see `peers`), by the Python that LONGSURV_PEERS
    names; None where there is none or it fails."""
    python = os.environ.get("LONGSURV_PEERS")
    if not python:
        return None
    path = folder / "peers.csv"
    data.to_csv(path, index=False)
    script = Path(__file__).with_name("peers.py")
    command = [python, str(script), tool, str(path), formula, str(repeats), *family.split()]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        print(f"  ({tool} did not run: {result.stderr.strip().splitlines()[-1:]})")
        return None
    return float(result.stdout.strip().splitlines()[-1].split(",")[2])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
