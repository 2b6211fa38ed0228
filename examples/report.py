"""Run a whole study and write its report.

Run with: python examples/report.py [report.html]
"""

from __future__ import annotations

import sys

import longsurv as ls


def main(path: str = "report.html") -> None:
    """Write the report of the reconstructed sepsis cohort, and print one of its tables."""
    study = ls.Study.from_toml(ls.example_path("ivig_sepsis") / "study.toml")
    results = study.run(quick=True)  # fewer draws; leave it out for a report to keep
    print(results.changes.query("engine == 'ml'")[["label", "scale", "estimate", "p_fdr"]])
    print(results.report(path))


if __name__ == "__main__":
    main(*sys.argv[1:2])
