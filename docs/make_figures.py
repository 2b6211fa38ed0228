"""Make the figures of the README and of docs/ from the example studies.

.venv/bin/python docs/make_figures.py
"""

from __future__ import annotations

from pathlib import Path

from longsurv import Study, example_path
from longsurv.report.sections.markers import changes_forest

HERE = Path(__file__).parent


def main() -> None:
    """Run the sepsis study and save its forest plot."""
    results = Study.from_toml(example_path("ivig_sepsis") / "study.toml").run()
    axes = changes_forest(results)
    axes.figure.savefig(HERE / "difference_in_change.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
