"""The example study with every control gone home by day 24 and one treated death, on day 26.

The very study this package is for, and one whose hazards cannot be compared: at its only event
nobody of the controls is at risk any more.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

import longsurv as ls

HOME = 24.0
DEATH = 26.0


def write_variant(folder: Path, *, deaths: int = 1) -> Path:
    """Write the study to a folder; return its file.

    Parameters
    ----------
    folder : Path
    deaths : int
        Of treated patients, on day 26 and, if there are more, on the half days after it.
    """
    source = ls.example_path("ivig_sepsis")
    for name in ("measurements.csv", "study.toml"):
        shutil.copy(source / name, folder / name)
    patients = pd.read_csv(source / "patients.csv")
    treated = (patients["treatment"] == "ivig").to_numpy()
    last = pd.read_csv(source / "measurements.csv").groupby("patient")["day"].max()
    day = np.array(patients["followup_day"], dtype=float)
    status = np.array(patients["status"], dtype=object)
    status[status == "dead"] = "alive"
    spread = np.arange((~treated).sum()) % 14
    day[~treated], status[~treated] = HOME - spread, "discharged"
    day = np.maximum(day, patients["patient"].map(last).fillna(0.0) + 1.0)
    day[treated & (status == "alive")] = 28.0
    still = np.flatnonzero(treated & (status == "alive"))[:deaths]
    day[still], status[still] = DEATH + 0.5 * np.arange(deaths), "dead"
    patients.assign(followup_day=day, status=status).to_csv(folder / "patients.csv", index=False)
    return folder / "study.toml"
