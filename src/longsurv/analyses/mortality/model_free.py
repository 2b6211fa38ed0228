"""A row for each method of comparing mortality that needs no fitted model, or why it has none."""

from __future__ import annotations

import math
from typing import Literal

import pandas as pd

from longsurv.analyses.mortality.rows import SCALES, Question, Row, attempt, row_of
from longsurv.analyses.mortality.weighted import weighted_rows
from longsurv.estimands.competing import incidence_difference
from longsurv.estimands.exact_hazard import exact_hazard_ratio
from longsurv.estimands.gray import gray_test
from longsurv.estimands.incidence_posterior import incidence_posterior
from longsurv.estimands.log_rank import log_rank_table
from longsurv.estimands.restricted_mean import restricted_mean_table
from longsurv.estimands.two_by_two import two_by_two_rows
from longsurv.estimands.weighted_log_rank import weighted_log_rank

type Interval = Literal["fisher-z", "mover"]


def model_free_rows(ask: Question, adjust: str) -> list[Row]:
    """Rows of every method without a fitted model."""
    return [
        *_exact(ask), *weighted_rows(ask, adjust), *_two_by_two(ask), *_curves(ask), *_means(ask),
        *_tests(ask),
    ]  # fmt: skip


def _exact(ask: Question) -> list[Row]:
    estimand = ask.hazards(", given the risk sets")
    blanks = {
        kind: row_of(
            "hazard ratio",
            f"exact given the risk sets{more}",
            "frequentist",
            estimand,
            method_id=kind,
            approach="exact",
        )
        for kind, more in (("exact", ""), ("mid-p", ", mid-p"))
    }

    def made() -> list[Row]:
        found = exact_hazard_ratio(ask.data, ask.treatment, level=ask.level)
        return [blanks[row["method"]].filled(row, row["note"]) for row in found.to_dict("records")]

    return attempt(made, *blanks.values())


def _two_by_two(ask: Question) -> list[Row]:
    c = ask.counts
    taken = f"{ask.lost} censored before {ask.end} count as alive" if ask.lost else ""
    rows = []
    for row in two_by_two_rows(c, level=ask.level):
        quantity, method = row["quantity"], row["method"]
        if quantity not in SCALES:
            continue
        bayes = not math.isnan(row["prob_benefit"])
        test = quantity == "no difference"
        blank = row_of(
            quantity, f"2 x 2, {method}", "bayes" if bayes else "frequentist",
            f"equal risks by {ask.end}" if test else ask.risks(),
            method_id=f"2 x 2, {row['method_id']}", prior_id=row["prior_id"], prior=row["prior"],
        )  # fmt: skip
        notes = [part for part in (row["note"], taken, ask.late) if part]
        rows.append(blank.filled(row, "; ".join(notes)))
    return rows


def _curves(ask: Question) -> list[Row]:
    """Risks from Kaplan-Meier and Aalen-Johansen curves, and their posterior."""
    without = ask.risks(", were there no competing events" if ask.competing else "")
    rows = [
        *_incidence(ask, ask.single, "Kaplan-Meier", without, "fisher-z"),
        *_incidence(ask, ask.single, "Kaplan-Meier", without, "mover"),
    ]
    among = ask.risks(", others having left by competing events" if ask.competing else "")
    rows += _incidence(ask, ask.data, "Aalen-Johansen", among, "mover")
    blanks = [
        row_of(quantity, "posterior of the hazards by cause", "bayes", among)
        for quantity in ("risk difference", "risk ratio")
    ]

    def drawn() -> list[Row]:
        found = incidence_posterior(
            ask.data, ask.treatment, ask.horizon, level=ask.level, seed=ask.seed
        ).set_index("quantity")
        found["prob_benefit"] = 1.0 - found["prob_positive"]
        return [
            blank.filled(row.to_dict(), str(row["note"]))
            for blank in blanks
            for row in [found.loc[blank.quantity]]
        ]

    return [*rows, *attempt(drawn, *blanks)]


def _incidence(
    ask: Question, data: pd.DataFrame, curve: str, estimand: str, interval: Interval
) -> list[Row]:
    both = interval == "mover"  # the ratio is the same by either
    quantities = ("risk difference", "risk ratio") if both else ("risk difference",)
    method = f"{curve}, {'limits of the two risks' if both else 'Greenwood'}"
    method_id = f"{curve}, {interval}"
    blanks = [
        row_of(
            quantity,
            method,
            "frequentist",
            estimand,
            method_id=method_id,
            world=ask.without_competing if data is not ask.data else "",
        )
        for quantity in quantities
    ]

    def made() -> list[Row]:
        found = incidence_difference(
            data, ask.treatment, ask.horizon, interval=interval, level=ask.level
        ).set_index("quantity")
        return [
            blank.filled(row.to_dict(), str(row["note"]))
            for blank in blanks
            for row in [found.loc[blank.quantity]]
        ]

    return attempt(made, *blanks)


def _means(ask: Question) -> list[Row]:
    cause = ", were there no competing events" if ask.competing else ""
    estimand = f"mean time alive to {ask.end}, {ask.group} less {ask.reference}{cause}"
    quantity = "restricted mean difference"
    world = ask.without_competing
    plain = row_of(quantity, "Kaplan-Meier, Greenwood-type", "frequentist", estimand, world=world)
    bayes = row_of(quantity, "posterior of the hazard", "bayes", estimand, world=world)

    def frequentist() -> list[Row]:
        found = restricted_mean_table(ask.single, ask.treatment, ask.horizon, level=ask.level)
        row = found.set_index("quantity").loc["difference"]
        return [plain.filled(row.to_dict(), str(row["note"]))]

    def posterior() -> list[Row]:
        found = incidence_posterior(
            ask.single, ask.treatment, ask.horizon, level=ask.level, seed=ask.seed
        )
        row = found.set_index("quantity").loc[quantity]
        longer = {"prob_benefit": row["prob_positive"]}
        return [bayes.filled({**row, **longer}, str(row["note"]))]

    return [*attempt(frequentist, plain), *attempt(posterior, bayes)]


def _tests(ask: Question) -> list[Row]:
    """Log-rank tests, weighted ones and Gray's; those of the 2 x 2 table are with the table."""

    def blank(method: str) -> Row:
        cause = ", competing events as censoring" if ask.competing else ""
        estimand = f"equal hazards of the event in {ask.group} and {ask.reference}{cause}"
        return row_of("no difference", method, "frequentist", estimand)

    wanted = ("asymptotic", "permutation", "imputation")
    blanks = {name: blank(f"log-rank, {name}") for name in wanted}

    def made() -> list[Row]:
        found = log_rank_table(ask.data, ask.treatment, seed=ask.seed).set_index("method")
        absent = "not computed for so many patients; it agrees with the asymptotic test"
        return [
            blank.filled({"p_value": found.loc[name, "p_value"]}, str(found.loc[name, "note"]))
            if name in found.index
            else blank.silent(absent)
            for name, blank in blanks.items()
        ]

    largest, shuffled = blank("max-combo, asymptotic"), blank("max-combo, permutation")

    def combined() -> list[Row]:
        row = weighted_log_rank(ask.data, ask.treatment, draws=2000, seed=ask.seed).iloc[-1]
        needs = "needs the same entry and censoring in both groups"
        named, _, how = str(row["note"]).partition("; ")
        return [
            largest.filled({"p_value": row["p_value"]}, named),
            shuffled.filled({"p_value": row["p_permutation"]}, f"{how}; {needs}"),
        ]

    gray = row_of(
        "no difference", "Gray", "frequentist", f"equal cumulative incidences up to {ask.end}"
    )

    def incidences() -> list[Row]:
        found = gray_test(ask.data, ask.treatment)
        none = "" if ask.competing else "no competing events: nearly the log-rank test"
        return [gray._replace(p_value=found.p_value, note=none)]

    return [
        *attempt(made, *blanks.values()), *attempt(combined, largest, shuffled),
        *attempt(incidences, gray),
    ]  # fmt: skip
