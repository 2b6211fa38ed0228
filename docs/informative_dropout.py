"""A marker that stops when patients die: what three analyses make of its mean change.

Cohorts are simulated in which the hazard of death follows each patient's true, current value of a
marker, while the laboratory sees it with noise and now and then. The mean change by day 28 is then
estimated from survivors only, by a mixed model of all measurements, and by a joint model. A mixed
model is right when dropout depends on what was measured; here it depends on what was not.

Writes informative_dropout.svg and informative_dropout.csv beside this file (a few minutes).

    .venv/bin/python docs/informative_dropout.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.models import LMM, CoxPH, JointModel

HERE = Path(__file__).parent
COHORTS, PATIENTS, SEED = 200, 200, 28
END = 28.0
DAYS = (0.0, 4.0, 8.0, 14.0, 21.0)
INTERCEPT, SLOPE, EFFECT = 3.0, 0.02, -0.04
"""Mean at day 0; slope per day without treatment; what treatment adds to it."""

SDS, NOISE = (0.7, 0.08), 0.9
ASSOCIATION, HAZARD = 1.0, 0.012
METHODS = ("survivors only", "mixed model", "joint model")
TRUTH = {"untreated": END * SLOPE, "treated": END * (SLOPE + EFFECT), "difference": END * EFFECT}


def cohort(rng: np.random.Generator, n: int = PATIENTS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measurements and patients of one simulated cohort."""
    treated = np.arange(n) % 2
    level = INTERCEPT + SDS[0] * rng.normal(size=n)
    slope = SLOPE + EFFECT * treated + SDS[1] * rng.normal(size=n)
    # log h = log(HAZARD) + ASSOCIATION (m(t) - INTERCEPT), inverted by hand: m is a line.
    start = HAZARD * np.exp(ASSOCIATION * (level - INTERCEPT))
    a = ASSOCIATION * slope
    inside = 1.0 + a * rng.exponential(size=n) / start
    death = np.where(inside > 0, np.log(np.maximum(inside, 1e-300)) / a, np.inf)
    stop = np.minimum(death, END)
    patients = pd.DataFrame({"id": np.arange(n), "treated": treated, "stop": stop})
    patients["died"] = (death < END).astype(int)
    visits = [[d for d in DAYS if d < s] for s in stop]
    who = np.repeat(np.arange(n), [len(v) for v in visits])
    day = np.concatenate(visits)
    y = level[who] + slope[who] * day + NOISE * rng.normal(size=len(day))
    rows = pd.DataFrame({"id": who, "day": day, "y": y, "treated": treated[who]})
    return rows, patients


def changes(rows: pd.DataFrame, patients: pd.DataFrame) -> pd.DataFrame:
    """Mean change by day 28 in one cohort: method, quantity, estimate, conf_low, conf_high."""
    growth = LMM("y ~ day + day:treated + (day | id)", data=rows)
    alive = patients.loc[patients["died"] == 0, "id"]
    survivors = LMM(growth.formula, data=rows[rows["id"].isin(alive)])
    death = CoxPH("Surv(stop, died) ~ treated", data=patients)
    fits = (
        survivors.fit("ML", "normal"),
        growth.fit("ML", "normal"),
        JointModel(growth, death, time="day", baseline="weibull").fit(),
    )
    of = {
        "untreated": {"day": END},
        "treated": {"day": END, "day:treated": END},
        "difference": {"day:treated": END},
    }
    rows_out = []
    for method, fit in zip(METHODS, fits, strict=True):
        for quantity, weights in of.items():
            row = fit.contrast(weights).iloc[0]
            rows_out.append((method, quantity, row["estimate"], row["conf_low"], row["conf_high"]))
    names = ["method", "quantity", "estimate", "conf_low", "conf_high"]
    return pd.DataFrame(rows_out, columns=names)


def study(cohorts: int = COHORTS, seed: int = SEED) -> tuple[pd.DataFrame, int]:
    """Bias and coverage over many cohorts, and how many could not be fitted.

    Returns
    -------
    DataFrame
        method, quantity, truth, mean (of the estimates), bias, error (simulation error of the
        bias), sd (of the estimates), coverage (of 95 % intervals), cohorts.
    """
    parts, failed = [], 0
    for child in np.random.SeedSequence(seed).spawn(cohorts):
        try:
            parts.append(changes(*cohort(np.random.default_rng(child))))
        except LongsurvError:
            failed += 1
    every = pd.concat(parts)
    every["truth"] = every["quantity"].map(TRUTH)
    every["covered"] = (every["conf_low"] <= every["truth"]) & (
        every["truth"] <= every["conf_high"]
    )
    table = every.groupby(["method", "quantity"], sort=False).agg(
        truth=("truth", "first"), mean=("estimate", "mean"), sd=("estimate", "std"),
        coverage=("covered", "mean"), cohorts=("estimate", "size"),
    ).reset_index()  # fmt: skip
    table["bias"] = table["mean"] - table["truth"]
    table["error"] = table["sd"] / np.sqrt(table["cohorts"])
    columns = ["method", "quantity", "truth", "mean", "bias", "error", "sd", "coverage", "cohorts"]
    return table[columns], failed


def figure(table: pd.DataFrame):
    """Mean curves on the left, bias with its simulation interval on the right."""
    from matplotlib.figure import Figure

    from longsurv.figures.style import GROUP_COLOURS, GROUP_LINES, INK, MUTED, RULE

    drawing = Figure(figsize=(9.2, 3.9), layout="constrained")
    left, right = drawing.subplots(1, 2, width_ratios=(1.15, 1.0))
    colours = dict(
        zip(METHODS, (GROUP_COLOURS[2], GROUP_COLOURS[1], GROUP_COLOURS[0]), strict=True)
    )
    means = table.set_index(["method", "quantity"])["mean"]
    days = np.array([0.0, END])
    left.plot(days, INTERCEPT + days / END * TRUTH["untreated"], color=INK, lw=4, alpha=0.28)
    left.text(END * 1.015, INTERCEPT + TRUTH["untreated"], "truth", color=INK, va="bottom")
    for method, line in zip(METHODS, (GROUP_LINES[2], GROUP_LINES[1], GROUP_LINES[0]), strict=True):
        end = INTERCEPT + means[method, "untreated"]
        left.plot(days, [INTERCEPT, end], color=colours[method], linestyle=line, lw=1.8)
        below = "top" if method == "joint model" else "center"
        left.text(END * 1.015, end, method, color=colours[method], va=below)
    left.set(
        xlabel="day", ylabel="mean of the marker", xlim=(0, END * 1.42), xticks=[0, 7, 14, 21, 28]
    )
    left.set_title(
        "Mean change of untreated patients, mean of all cohorts", loc="left", fontsize=10.5
    )

    names = list(TRUTH)
    right.axvline(0.0, color=RULE, lw=1.2, zorder=0)
    for k, method in enumerate(METHODS):
        rows = table[table["method"] == method].set_index("quantity").loc[names]
        at = np.arange(len(names))[::-1] + 0.22 * (1 - k)
        right.errorbar(
            rows["bias"], at, xerr=1.96 * rows["error"], fmt="os^"[k], color=colours[method],
            ms=5.5, lw=1.4, label=method,
        )  # fmt: skip
        for x, y, share in zip(rows["bias"], at, rows["coverage"], strict=True):
            right.annotate(
                f"{100 * share:.0f} %", (x, y), xytext=(-23 if x < -0.05 else 23, 0),
                textcoords="offset points", ha="center", va="center", fontsize=8.5, color=MUTED,
            )  # fmt: skip
    right.set_yticks(np.arange(len(names))[::-1], names)
    right.set_ylim(-0.6, len(names) - 0.4)
    right.margins(x=0.24)
    right.set_xlabel("bias of the mean change by day 28")
    right.set_title("Bias, and coverage of 95 % intervals", loc="left", fontsize=10.5)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(MUTED)
        axes.tick_params(colors=MUTED, labelcolor=INK)
    return drawing


def main() -> None:
    """Run the study and write the table and the figure."""
    import matplotlib as mpl

    table, failed = study()
    table = table.round(5)
    table.to_csv(HERE / "informative_dropout.csv", index=False, lineterminator="\n")
    with mpl.rc_context({"svg.hashsalt": "informative dropout", "font.size": 10}):
        figure(table).savefig(HERE / "informative_dropout.svg", metadata={"Date": None})
    print(table.round(3).to_string(index=False))
    if failed:
        print(f"{failed} cohorts could not be fitted")


if __name__ == "__main__":
    main()
