"""The command line: `longsurv init`, `demo`, `report`, `check`, `simulate` and `schema`."""

from longsurv.cli.options import BAD_DATA, BAD_USAGE, DONE, INCOMPLETE, INTERRUPTED
from longsurv.cli.program import main, parser, process
from longsurv.cli.simulate import COHORTS, EFFECTS

__all__ = [
    "BAD_DATA",
    "BAD_USAGE",
    "COHORTS",
    "DONE",
    "EFFECTS",
    "INCOMPLETE",
    "INTERRUPTED",
    "main",
    "parser",
    "process",
]
