"""The stage of a run that tells the effect on the event in subgroups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longsurv.records import Record
from longsurv.study.bench import Bench
from longsurv.study.comparisons import ByComparison, comparisons
from longsurv.study.deaths import CHAINS, draws_of, kept_of, seed_of
from longsurv.study.plan import Plan

if TYPE_CHECKING:
    from longsurv.analyses import Mortality

SUBGROUPS = "subgroups"
MOST_DRAWS = 500  # of each of four chains, more of which add no digit to what is read of subgroups


def compare_subgroups(bench: Bench) -> Record | ByComparison | None:
    """The treatment's effect in the levels of the columns that the study names.

    Returns
    -------
    mapping, ByComparison of them, or None
        "table", "counts", "tests", "spread" (`SubgroupEffects`), "trouble" (of the chains, by
        column), "group", "reference", "horizon", "adjust"; None where the study names none.
    """
    study = bench.study
    if not study.subgroups:
        return None

    def compute(asked: Mortality) -> Record:
        draws = min(MOST_DRAWS, draws_of(study))
        found = asked.subgroups(study.subgroups, draws=draws, seed=seed_of(study))
        return {
            "table": found.table, "counts": found.counts, "tests": found.tests,
            "spread": found.spread,
            "trouble": {k: v.words for k, v in found.diagnose().items() if not v.ok},
        }  # fmt: skip

    return kept_of(bench, SUBGROUPS, compute, *study.subgroups)


def seconds_of_subgroups(study: Plan) -> float:
    """What `compare_subgroups` takes on an ordinary computer."""
    draws = CHAINS * min(MOST_DRAWS, draws_of(study))
    return (1.0 + 5e-4 * draws) * len(study.subgroups) * len(comparisons(study))
