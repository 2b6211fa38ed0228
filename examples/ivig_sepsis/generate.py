"""Make the reconstructed cohort of 41 patients with sepsis: 19 given immunoglobulin, 22 not.

Nobody in these files is a real patient. The study (Matsumoto et al., Critical Care 2014;18(Suppl
2):P24) published a summary only; this script draws a cohort with the same design that says what
the summary says. README.md tells what was assumed and how the seed was found.

    python generate.py            # writes patients.csv and measurements.csv beside this file

The model, for marker k of patient i at visit v (1: day 1; 2: once on a day from 4 to 7), on the
marker's own scale (logarithm, square root or identity), in units of its standard deviation:

    z_ikv = a_k s_i + c_k f_i + r_k p_ik + e_kv + g_kv + 1(v=2) (d_k + h u_i)
    g_k1 = shift_k 1(ivig),   g_k2 = (LASTING shift_k + effect_k) 1(ivig)

with s_i how severely ill the patient is, f_i fibrin formation, u_i how badly
the first week went, p_ik what is the patient's own and e_kv what is the visit's own, all standard
normal before scaling. d_k is the course of an untreated patient. Because the excess of the treated
fades by itself (LASTING below 1), part of their larger fall is regression to the mean, as it may
have been in the study. Deaths are as many as were published, of those in most danger.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from longsurv.cohort.scores import jaam_dic

HERE = Path(__file__).parent
SEED = 135
N_CONTROL, N_IVIG = 22, 19
DEATHS = {"control": 4, "ivig": 1}
LASTING = 0.4  # of the excess at day 1, how much is left at days 4 to 7
OWN, WEEK = 0.55, 0.40  # loadings of the patient's own level, and of how badly the week went
P_MISSING_FIRST, P_MISSING_LATER = 0.007, 0.025


class Marker(NamedTuple):
    """Centre and SD on the marker's scale; the rest in SDs, positive meaning worse."""

    name: str
    scale: str  # log, sqrt or identity
    centre: float  # median at day 1, in the marker's unit
    sd: float
    decimals: int
    severity: float  # loading on how severely ill the patient is
    fibrin: float  # loading on fibrin formation
    shift: float  # excess of the treated at day 1
    drift: float  # change of an untreated patient
    effect: float  # further change under immunoglobulin
    sign: int = 1  # -1 when low values are the bad ones
    limit: float = 0.0  # detection limit


# Centres and SDs: septic patients in intensive care, from the literature; no distribution of PIC
# and SF in sepsis has been published, so theirs are guesses above the upper reference limits.
MARKERS = (
    Marker("wbc", "log", 10_900, 0.50, -2, 0.15, 0.0, 0.10, 0.00, -0.05),
    Marker("crp", "sqrt", 16.3, 1.00, 1, 0.40, 0.0, 0.20, -0.15, -0.95),
    Marker("pct", "log", 13.6, 1.05, 2, 0.50, 0.0, 1.10, -0.12, -0.50, limit=0.02),
    Marker("il6", "log", 600, 1.85, 1, 0.50, 0.0, 1.10, -0.95, -0.25, limit=1.5),
    Marker("plt", "log", 182, 0.56, 0, 0.45, 0.1, 0.15, 0.05, -0.05, sign=-1),
    Marker("pt_ratio", "log", 1.30, 0.18, 2, 0.50, 0.1, 0.25, -0.10, -0.60),
    Marker("aptt", "log", 42.6, 0.24, 1, 0.45, 0.1, 0.20, -0.08, -0.60),
    Marker("fdp", "log", 25, 1.00, 1, 0.35, 0.6, 0.15, -0.05, -0.15, limit=2.5),
    Marker("d_dimer", "log", 4.2, 0.98, 1, 0.35, 0.6, 0.10, 0.00, 0.00, limit=0.5),
    Marker("tat", "log", 11, 0.73, 1, 0.35, 0.4, 0.20, -0.75, -0.05, limit=1.0),
    Marker("pic", "log", 1.4, 0.70, 1, 0.20, 0.4, 0.10, 0.00, 0.00, limit=0.2),
    Marker("sf", "log", 18, 1.10, 1, 0.35, 0.5, 0.20, -0.08, -0.65, limit=3.0),
    Marker("pai1", "log", 178, 1.20, 0, 0.55, 0.0, 0.25, -0.12, -0.65, limit=10),
    Marker("sirs", "identity", 3.3, 0.80, 0, 0.30, 0.0, 0.10, -0.10, -1.00),
    Marker("sofa", "identity", 9.0, 3.2, 0, 0.75, 0.0, 0.25, -0.30, -0.30),
)
ORDER = (
    "wbc", "crp", "pct", "il6", "plt", "pt_inr", "aptt", "d_dimer", "tat", "pic", "sf", "pai1",
    "fdp", "pt_ratio", "sirs", "jaam", "sofa",
)  # fmt: skip
INTEGER_RANGE = {"sirs": (0, 4), "sofa": (0, 24)}
JAAM_PARTS = ["sirs", "plt", "pt_ratio", "fdp"]


def generate(seed: int = SEED) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw one cohort.

    Parameters
    ----------
    seed : int

    Returns
    -------
    patients : DataFrame, shape (41, 9)
        patient, treatment, age (years), sex, apache2, infection, icu_days, followup_day, status.
    measurements : DataFrame, shape (1394, 4)
        patient, day, marker, value (text: blank when missing, "<limit" below a detection limit).
    """
    rng = np.random.default_rng(seed)
    n = N_CONTROL + N_IVIG
    ivig = rng.permutation(np.repeat([False, True], [N_CONTROL, N_IVIG]))
    severity = rng.standard_normal(n)
    week = rng.standard_normal(n)
    fibrin = rng.standard_normal(n)
    values = {
        marker.name: _marker_values(marker, ivig, severity, week, fibrin, rng) for marker in MARKERS
    }
    values["sirs"][:, 0] = np.maximum(values["sirs"][:, 0], 2)  # two criteria define sepsis
    # The reagent's sensitivity index turns the ratio into the INR.
    inr = values["pt_ratio"] ** 1.08 * np.exp(0.01 * rng.standard_normal((n, 2)))
    values["pt_inr"] = np.round(inr, 2)

    later_day = rng.integers(4, 8, n)
    missing = {
        name: rng.random((n, 2)) < (P_MISSING_FIRST, P_MISSING_LATER)
        for name in ORDER
        if name != "jaam"
    }
    missing["pt_inr"] = missing["pt_ratio"]  # one tube, one assay
    values = {name: np.where(missing[name], np.nan, value) for name, value in values.items()}
    values["jaam"] = _jaam(values)

    danger = severity + 1.5 * week + 0.6 * rng.standard_normal(n)
    patients = _patients(ivig, severity, danger, rng)
    return patients, _long(patients["patient"].to_numpy(), later_day, values)


def _marker_values(
    marker: Marker,
    ivig: np.ndarray,
    severity: np.ndarray,
    week: np.ndarray,
    fibrin: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Values of one marker at both visits, shape (patients, 2), rounded as a laboratory does."""
    n = len(ivig)
    common = marker.severity * severity + marker.fibrin * fibrin
    own = OWN * rng.standard_normal(n)
    # What the loadings leave of a variance of 1 belongs to the visit.
    left = 1 - marker.severity**2 - marker.fibrin**2 - OWN**2
    visit = np.sqrt(max(left, 0.1)) * rng.standard_normal((n, 2))
    z = (common + own)[:, None] + visit
    z[:, 0] += marker.shift * ivig
    z[:, 1] += marker.drift + WEEK * week + (LASTING * marker.shift + marker.effect) * ivig
    # Centred so that the whole cohort, not the untreated alone, has the median of the literature.
    z -= marker.shift * N_IVIG / (N_CONTROL + N_IVIG)
    deviation = marker.sign * marker.sd * z
    if marker.scale == "log":
        value = marker.centre * np.exp(deviation)
    elif marker.scale == "sqrt":
        value = np.maximum(np.sqrt(marker.centre) + deviation, 0.3) ** 2
    else:
        value = marker.centre + deviation
    low, high = INTEGER_RANGE.get(marker.name, (0, np.inf))
    return np.clip(np.round(value, marker.decimals), low, high)


def _jaam(values: dict[str, np.ndarray]) -> np.ndarray:
    """JAAM DIC scores, shape (patients, 2), from the recorded components; NaN if one is missing."""
    parts = pd.DataFrame({name: values[name].ravel() for name in JAAM_PARTS})
    return jaam_dic(parts, platelets="plt")["score"].to_numpy().reshape(-1, 2)


def _patients(
    ivig: np.ndarray, severity: np.ndarray, danger: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw characteristics and outcome: in each group, those in most danger die, after day 7."""
    n = len(ivig)
    treatment = np.where(ivig, "ivig", "control")
    dead = np.zeros(n, dtype=bool)
    for group, deaths in DEATHS.items():
        members = np.flatnonzero(treatment == group)
        dead[members[np.argsort(-danger[members])[:deaths]]] = True
    death_day = rng.integers(9, 28, n)
    stay = np.round(8 + rng.exponential(np.exp(2.0 + 0.35 * severity))).astype(int)
    discharge_day = stay + np.round(7 + rng.exponential(20, n)).astype(int)
    discharged = ~dead & (discharge_day < 28)
    followup = np.where(dead, death_day, np.where(discharged, discharge_day, 28))
    sources = ["lung", "abdomen", "urinary tract", "soft tissue", "other"]
    return pd.DataFrame(
        {
            "patient": [f"P{number:02d}" for number in range(1, n + 1)],
            "treatment": treatment,
            "age": np.clip(np.round(69 + 12 * rng.standard_normal(n)), 18, 95).astype(int),
            "sex": np.where(rng.random(n) < 0.62, "male", "female"),
            "apache2": np.clip(
                np.round(23 + 1.5 * ivig + 4 * severity + 4 * rng.standard_normal(n)), 5, 50
            ).astype(int),
            "infection": rng.choice(sources, n, p=[0.36, 0.32, 0.14, 0.10, 0.08]),
            "icu_days": np.where(dead, np.minimum(stay, death_day), stay),
            "followup_day": followup,
            "status": np.where(dead, "dead", np.where(discharged, "discharged", "alive")),
        }
    )


def _long(
    patients: np.ndarray, later_day: np.ndarray, values: dict[str, np.ndarray]
) -> pd.DataFrame:
    """One row a measurement, patient by patient, as a laboratory export writes it."""
    details = {marker.name: (marker.decimals, marker.limit) for marker in MARKERS}
    details |= {"pt_inr": (2, 0.0), "jaam": (0, 0.0)}
    rows = [
        (patient, day, name, _written(values[name][i, visit], *details[name]))
        for i, patient in enumerate(patients)
        for visit, day in enumerate((1, later_day[i]))
        for name in ORDER
    ]
    return pd.DataFrame(rows, columns=["patient", "day", "marker", "value"])


def _written(value: float, decimals: int, limit: float) -> str:
    if np.isnan(value):
        return ""
    return f"<{limit:g}" if value < limit else f"{value:.{max(decimals, 0)}f}"


def main() -> None:
    patients, measurements = generate()
    patients.to_csv(HERE / "patients.csv", index=False, lineterminator="\n")
    measurements.to_csv(HERE / "measurements.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
