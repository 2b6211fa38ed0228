"""Dynamic prediction of single patients, drawn: what was measured until now, and survival after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.design.expression import logarithm_of
from longsurv.errors import LongsurvError
from longsurv.figures import forest
from longsurv.figures.place import described, place_of, warned
from longsurv.figures.prediction import prediction, time_ticks
from longsurv.results.drawable import Headed
from longsurv.words import capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.design.joint import JointDesign

MOST = 4
STEPS = 30


class Predicts(Headed, Protocol):
    """An answer of a joint model."""

    @property
    def design(self) -> JointDesign:
        """The arrays it was fitted to."""

    def predict_survival(
        self, newdata: pd.DataFrame, *, at: float, times: Sequence[float], level: float = 0.95
    ) -> pd.DataFrame:
        """Survival of patients alive at a time, given their measurements until then."""


def dynamic_prediction(
    result: Predicts,
    newdata: pd.DataFrame,
    at: float,
    horizon: float | None,
    marker: str | None,
    level: float,
    ax: object,
) -> Axes:
    """Measurements until a time and survival from then on, a panel a patient."""
    design = result.design
    name, time = design.group_name, design.time
    if name not in newdata or time not in newdata:
        raise LongsurvError(f"newdata needs the columns {name!r} and {time!r}")
    patients = list(dict.fromkeys(newdata[name]))
    if not 0 < len(patients) <= MOST:
        raise LongsurvError(f"newdata has 1 to {MOST} patients to draw, not {len(patients)}")
    last = float(design.exit.max())
    end = last if horizon is None else float(horizon)
    if not at < end <= last:
        raise LongsurvError(
            f"the horizon is a time after {at:g} and up to the last exit, {last:g}; got {end:g}"
        )
    times = [float(t) for t in np.linspace(at, end, STEPS + 1)[1:]]
    found = result.predict_survival(newdata, at=at, times=times, level=level)
    now = found.drop_duplicates(name).assign(time=at, estimate=1.0, conf_low=1.0, conf_high=1.0)
    table = pd.concat([now, found], ignore_index=True)
    table = table.assign(patient=table[name], title=table[name].astype(str))
    column, log = _measured_column(design, marker)
    until = newdata[newdata[time] <= at] if column in newdata else newdata.iloc[:0]
    measured = pd.DataFrame(
        {"patient": until[name], "time": until[time],
         "value": until[column] if column in newdata else np.nan}
    ).dropna()  # fmt: skip
    drawn = prediction(
        table, measured, at=at, ylabel=column, xlabel=time, log=log, ticks=time_ticks(end),
        ax=place_of(ax),
    )  # fmt: skip
    warned(drawn, result.headings)
    ends = table.groupby(name, sort=False).last()
    said = "; ".join(
        f"{who} {numbers.ratio(row['estimate'], row['conf_low'], row['conf_high'])}"
        for who, row in ends.iterrows()
    )
    warnings = "".join(f" {text}." for text in result.headings)
    return described(
        drawn, f"Predicted survival to {end:g} of patients alive at {at:g}: {said}.{warnings}"
    )


def association(table: pd.DataFrame, ax: object) -> Axes:
    """The hazard ratio of the change a reader understands best, by every method.

    Parameters
    ----------
    table : DataFrame
        method, method_id, change, scale, hazard_ratio, conf_low, conf_high.
    ax : Axes, optional
    """
    scale = next(one for one in ("doubling", "sd", "unit") if one in set(table["scale"]))
    rows = table[table["scale"] == scale]
    limits = rows[["hazard_ratio", "conf_low", "conf_high"]]
    text = [numbers.ratio(*row) for row in limits.itertuples(index=False)]
    engine = rows["method_id"].eq("bayes").map({True: "Bayes", False: "Frequentist"})
    shown = limits.rename(columns={"hazard_ratio": "estimate"}).assign(
        row=rows["method"].map(capital), series=engine, text=text
    )
    change = str(rows["change"].iloc[0])
    drawn = forest(
        shown, xlabel=f"Hazard ratio for {change} (logarithmic axis)", log=True,
        text_heading="Hazard ratio (interval)", ax=place_of(ax),
    )  # fmt: skip
    said = "; ".join(f"{name} {words}" for name, words in zip(shown["row"], text, strict=True))
    return described(drawn, f"Hazard ratio for {change}: {said}.")


def _measured_column(design: JointDesign, marker: str | None) -> tuple[str, bool]:
    """The column of a marker, and whether the model has its logarithm."""
    markers = {m.name: m for m in design.markers}
    if marker is not None and marker not in markers:
        raise LongsurvError(f"marker is one of {list(markers)}, not {marker!r}")
    chosen = markers[marker] if marker is not None else next(iter(markers.values()))
    response = chosen.design.formula.response
    logarithm = logarithm_of(response)
    return (response, False) if logarithm is None else (logarithm[1], True)
