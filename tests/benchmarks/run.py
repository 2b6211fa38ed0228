"""Measure longsurv beside other tools and print one table: `make bench`.

Figures of one run can be compared with each other only. `make bench ARGS=mixed` runs one part, and
`make bench ARGS="million twin"` those that take too long to run unasked; R is measured too where
Rscript is on the path, and other Python packages by the Python that LONGSURV_PEERS names, if it has
them (mixedlm, interlace-lme). `report` counts what the example reports show, and times how long one
takes with one process and with two.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cox
import first
import joint
import mixed
import report
import scale
from timing import Row

PARTS: dict[str, tuple[Callable[[Path], Iterator[Row]], ...]] = {
    "mixed": (
        mixed.reml,
        mixed.crossed,
        mixed.counts,
        mixed.kenward_roger,
        mixed.posterior,
    ),
    "cox": (cox.fits, cox.firth, cox.priors, cox.sites, cox.fine_gray),
    "joint": (joint.fits, joint.growth, joint.panel),
    "million": (mixed.million, joint.hundred_thousand),
    "twin": (joint.twin,),
    "first": (first.uses,),
    "report": (report.reports, report.times),
    "scale": (scale.scale,),
}
UNASKED = ("mixed", "cox", "joint")


def main() -> None:
    """Run the parts asked for and print each figure as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"which of {', '.join(PARTS)} to run")
    parts = parser.parse_args().parts or list(UNASKED)
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        parser.error(f"no part {unknown}; there are {list(PARTS)}")
    print(f"{'work':<34}{'tool':<28}{'value':>12}  {'unit':<16}{'longsurv is':<16}note")
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            for measure in PARTS[part]:
                ours: dict[tuple[str, str], float] = {}
                for row in measure(Path(folder)):
                    print(_line(row, ours), flush=True)


def _line(row: Row, ours: dict[tuple[str, str], float]) -> str:
    """A printed row; peers are compared with longsurv's last figure for the same work and unit."""
    key, ratio = (row.work, row.unit), ""
    if row.tool.startswith("longsurv"):
        ours[key] = row.value
    elif key in ours:
        times = row.value / ours[key] if row.unit == "s" else ours[key] / row.value
        ratio = f"{times:.3g} x faster" if times >= 1 else f"{1 / times:.3g} x slower"
    return f"{row.work:<34}{row.tool:<28}{row.value:>12.4g}  {row.unit:<16}{ratio:<16}{row.note}"


if __name__ == "__main__":
    main()
