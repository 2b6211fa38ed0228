"""A Cox model in which treatment counts from when it began."""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.estimands.cloning import Histories
from longsurv.models.cox import CoxPH


def time_varying_cox(at: Histories, level: float) -> dict[str, float]:
    """Hazard ratio of being treated: estimate, conf_low, conf_high."""
    spells = []
    for k, (begun, exit_, status) in enumerate(zip(at.begun, at.exit, at.status, strict=True)):
        died = int(status == 1)
        if not begun < exit_:
            spells.append((k, 0.0, exit_, died, 0))
            continue
        if begun > 0.0:
            spells.append((k, 0.0, begun, 0, 0))
        spells.append((k, max(begun, 0.0), exit_, died, 1))
    rows = pd.DataFrame(spells, columns=["patient", "start", "stop", "event", "treated"])
    fit = CoxPH("Surv(start, stop, event) ~ treated", data=rows, patient="patient").fit()
    row = fit.tidy(level).set_index("term").loc["treated"]
    return {name: float(np.exp(row[name])) for name in ("estimate", "conf_low", "conf_high")}
