"""What a reader needs to repeat a run: software versions and a fingerprint of the data."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version

from longsurv.cohort import Cohort

PACKAGES = (
    "longsurv",
    "numpy",
    "scipy",
    "pandas",
    "numba",
    "formulaic",
    "nutpie",
    "pymc",
    "arviz",
    "lifelines",
    "statsmodels",
    "matplotlib",
)


def data_hash(cohort: Cohort) -> str:
    """SHA-256 of the patient and measurement tables, whatever the order of their columns."""
    digest = hashlib.sha256()
    for table in (cohort.patients, cohort.measurements):
        text = table[sorted(table.columns)].to_csv(index=False, lineterminator="\n")
        digest.update(text.encode())
    return digest.hexdigest()


def software_versions() -> dict[str, str]:
    """Python and the packages whose numbers the report holds."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
