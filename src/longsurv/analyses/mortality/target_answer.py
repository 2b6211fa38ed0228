"""What the emulation of a trial found, beside the analyses that it takes the place of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from scipy import special

from longsurv.analyses import plots
from longsurv.analyses.mortality.target_cox import time_varying_cox
from longsurv.errors import EstimationError, LongsurvError
from longsurv.estimands.cloning import (
    Curves,
    Histories,
    beginning_model,
    cloned_curves,
    weighted_incidence,
)
from longsurv.numbers import signed
from longsurv.own_order import in_own_order, own_order
from longsurv.tables.notebook import Readable
from longsurv.words import NO_ANSWER, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METHOD = "clones, censored and weighted"
NAIVE = "as they turned out"
LANDMARK = "landmark at the end of grace"
VARYING = "Cox, treatment varying with time"
STRATEGIES = ("begin", "do not begin")
_CELLS = 3_000_000
_LARGE = 20.0
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class TargetTrialAnswer(Readable):
    """Two strategies compared from time zero, and what other analyses make of the same patients.

    Attributes
    ----------
    table : DataFrame
        method ("clones, censored and weighted" is the emulation; "as they turned out" compares who
        had begun by the end of the grace period with the others from time zero, the naive way;
        "landmark at the end of grace" those still at risk then; "Cox, treatment varying with time"
        has a hazard ratio), quantity ("risk if begun", "risk if not", "risk difference", "risk
        ratio", "difference in mean time without the event", "hazard ratio"; all of beginning
        against not), estimate, conf_low, conf_high, note. There are no limits where an arm has no
        event, or nobody without: resampling says nothing of such a risk.
    curves : DataFrame
        Of the emulation: group, time, estimate, conf_low, conf_high of the cumulative incidence.
    weights : DataFrame
        Of the copies at the end of the grace period: group, n (not censored), mean, largest,
        effective_n.
    protocol : DataFrame
        `TargetTrial.protocol`.
    flow : DataFrame
        Who was left out and why.
    immortal_time : float
        Follow-up of those who began, before they did.
    words : str
        What immortal time did, in sentences.
    warnings : tuple of str
        What is wrong with the weights.
    horizon, level : float
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "table", "weights")

    table: pd.DataFrame
    curves: pd.DataFrame = field(repr=False)
    weights: pd.DataFrame = field(repr=False)
    protocol: pd.DataFrame = field(repr=False)
    flow: pd.DataFrame = field(repr=False)
    immortal_time: float
    words: str
    warnings: tuple[str, ...]
    horizon: float
    level: float

    def of(self, method: str, quantity: str) -> pd.Series:
        """One row of the table.

        Parameters
        ----------
        method, quantity : str
            As in the table.

        Returns
        -------
        Series
        """
        chosen = (self.table["method"] == method) & (self.table["quantity"] == quantity)
        if not chosen.any():
            raise LongsurvError(f"the table has no {quantity!r} by {method!r}")
        return self.table[chosen].iloc[0]

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the cumulative incidence of the event under both strategies.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        ticks = [0.25 * k * self.horizon for k in range(5)]
        curves = self.curves.assign(cause="event")
        return plots.incidences(curves, list(STRATEGIES[::-1]), ticks, "time", ax)

    def __repr__(self) -> str:
        shown = self.table.to_string(index=False, float_format="{:.3f}".format)
        return "\n".join([self.words, *self.warnings, shown])


def answered(
    at: Histories,
    X: np.ndarray,
    horizon: float,
    resamples: int,
    seed: int,
    level: float,
    protocol: pd.DataFrame,
    flow: pd.DataFrame,
) -> TargetTrialAnswer:
    """Put the answer together; the arguments are those of `TargetTrial`."""
    n = len(at.exit)
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // (n * len(at.edges)))
    order = _own_order(at, X)
    parts: list[Curves] = []
    naive, landmark = Crude(), Crude()
    began = np.isfinite(at.begun)
    later = at.exit > at.edges[-1]
    two = np.stack([began, ~began])[:, None, :].astype(float)
    weights = None
    done = 0
    while done <= resamples:
        size = min(step, resamples + 1 - done)
        mass = in_own_order(rng.standard_gamma(1.0, size=(size, n)), order)
        mass *= n / mass.sum(axis=1, keepdims=True)
        if done == 0:
            mass[0] = 1.0  # the estimate itself
        found, final = cloned_curves(at, beginning_model(at, X, mass), mass, horizon)
        weights = final[:, 0] if weights is None else weights
        parts.append(found)
        naive.add(at, two, mass, horizon, 0.0)
        if later.any():
            landmark.add(at, two * later, mass, horizon, at.edges[-1])
        done += size
    assert weights is not None
    _check_departed(parts)
    rows = _rows(METHOD, parts, horizon, level, "")
    rows += naive.rows(
        NAIVE, horizon, level,
        "who began had to live until then: immortal time, and nothing adjusted",
    )  # fmt: skip
    rows += landmark.rows(
        LANDMARK, horizon, level,
        f"given no event by {at.edges[-1]:g}, and nothing adjusted", at.edges[-1],
    )  # fmt: skip
    rows.append(_time_varying(at, level))
    table = pd.DataFrame(rows)
    summary = _weights(weights)
    immortal = float(np.minimum(at.begun[began], horizon).sum())
    return TargetTrialAnswer(
        table=table, curves=_curves(parts, level), weights=summary, protocol=protocol, flow=flow,
        immortal_time=immortal, words=_words(table, at, immortal, horizon),
        warnings=_warnings(summary, at), horizon=horizon, level=level,
    )  # fmt: skip


def _check_departed(parts: list[Curves]) -> None:
    """Refuse arms that are the same patients at every event: 0 from 0 to 0 is no difference."""
    one, zero = np.concatenate([part.risk() for part in parts], axis=1)
    if one[0] > _ROUNDING and np.abs(one - zero).max() < _ROUNDING:
        raise EstimationError(
            "no event came after a patient had departed from an arm, so both arms are the same"
            " patients and the data say nothing of a difference"
        )


def _own_order(at: Histories, X: np.ndarray) -> np.ndarray:
    """Patients by what is known of them, whatever their order in the table."""
    patient, _, _ = at.periods
    first = np.flatnonzero(np.diff(patient, prepend=-1))
    known = X[first], np.add.reduceat(X, first)
    return own_order(at.exit, at.status, at.begun, *known)


@dataclass
class Crude:
    """Curves of an analysis that stands beside the emulation, or why it has none."""

    curves: list[Curves] = field(default_factory=list)
    reason: str = ""

    def add(
        self, at: Histories, weights: np.ndarray, mass: np.ndarray, horizon: float, start: float
    ) -> None:
        """Work out those of further weightings of the patients.

        Parameters
        ----------
        at : Histories
        weights : ndarray, shape (2, 1, n)
            Of the copies, at any time.
        mass : ndarray, shape (b, n)
            Of the patients.
        horizon, start : float
        """
        if self.reason:
            return
        try:
            self.curves.append(weighted_incidence(at, lambda _: weights, mass, horizon, start))
        except EstimationError as error:
            self.reason = str(error)

    def rows(
        self, method: str, horizon: float, level: float, note: str, start: float = 0.0
    ) -> list[dict[str, object]]:
        """Rows of the table; one without numbers where there is no answer, none if never asked.

        Parameters
        ----------
        method : str
        horizon, level : float
        note : str
        start : float
        """
        if self.reason:
            nothing = dict.fromkeys(("estimate", "conf_low", "conf_high"), np.nan)
            words = f"{NO_ANSWER}: {self.reason}"
            return [{"method": method, "quantity": "risk difference", **nothing, "note": words}]
        return _rows(method, self.curves, horizon, level, note, start) if self.curves else []


def _rows(
    method: str, parts: list[Curves], horizon: float, level: float, note: str, start: float = 0.0
) -> list[dict[str, object]]:
    one, zero = np.concatenate([part.risk() for part in parts], axis=1)
    mean = np.concatenate([part.mean_without(horizon) for part in parts], axis=1) - start
    z = float(special.ndtri(0.5 + level / 2.0))
    why = [_unvarying(values) for values in (one, zero)]
    out = []
    for quantity, values, arms, logged in (
        ("risk if begun", one, (0,), False),
        ("risk if not", zero, (1,), False),
        ("risk difference", one - zero, (0, 1), False),
        ("risk ratio", _ratio(one, zero), (0, 1), True),
        ("difference in mean time without the event", mean[0] - mean[1], (0, 1), False),
    ):
        reasons = [f"{STRATEGIES[k]!r}: {why[k]}" for k in arms if why[k]]
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.log(values) if logged else values
            spread = float(np.std(scale[1:], ddof=1)) if len(scale) > 2 else np.nan
        spread = np.nan if reasons else spread
        ends = np.array([scale[0] - z * spread, scale[0] + z * spread])
        ends = np.exp(ends) if logged else ends
        if quantity.startswith("risk if"):
            ends = np.clip(ends, 0.0, 1.0)
        out.append({
            "method": method, "quantity": quantity, "estimate": float(values[0]),
            "conf_low": float(ends[0]), "conf_high": float(ends[1]),
            "note": "; ".join(filter(None, (note, *reasons))),
        })  # fmt: skip
    return out


def _unvarying(risks: np.ndarray) -> str:
    """Why resampling says nothing of a risk, shape (b,); "" if it does."""
    if risks[0] < _ROUNDING:
        return "no events, so its variance is not known"
    if len(risks) > 2 and np.ptp(risks) < _ROUNDING:
        return "everybody had the event, so its variance is not known"
    return ""


def _ratio(one: np.ndarray, zero: np.ndarray) -> np.ndarray:
    return np.where(zero > 0.0, one / np.where(zero > 0.0, zero, 1.0), np.nan)


def _time_varying(at: Histories, level: float) -> dict[str, object]:
    """The hazard ratio of being treated, treatment counting from when it began."""
    blank = {"method": VARYING, "quantity": "hazard ratio"}
    try:
        row = time_varying_cox(at, level)
    except LongsurvError as error:
        nothing = dict.fromkeys(("estimate", "conf_low", "conf_high"), np.nan)
        return {**blank, **nothing, "note": f"{NO_ANSWER}: {error}"}
    return {**blank, **row, "note": "no immortal time, but nothing adjusted"}


def _curves(parts: list[Curves], level: float) -> pd.DataFrame:
    incidence = np.concatenate([part.incidence for part in parts], axis=1)
    tail = 0.5 - level / 2.0
    tables = []
    for k, name in enumerate(STRATEGIES):
        low, high = np.quantile(incidence[k], [tail, 1.0 - tail], axis=0)
        same = (high - low < _ROUNDING) & (parts[0].time > parts[0].time[0])
        low, high = np.where(same, np.nan, [low, high])
        tables.append(
            pd.DataFrame({
                "group": name, "time": parts[0].time, "estimate": incidence[k, 0],
                "conf_low": low, "conf_high": high,
            })
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def _weights(final: np.ndarray) -> pd.DataFrame:
    rows = []
    for name, w in zip(STRATEGIES, final, strict=True):
        kept = w[w > 0.0]
        rows.append({
            "group": name, "n": len(kept), "mean": float(kept.mean()),
            "largest": float(kept.max()), "effective_n": float(kept.sum() ** 2 / (kept**2).sum()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _warnings(weights: pd.DataFrame, at: Histories) -> tuple[str, ...]:
    found = []
    for row in weights.to_dict("records"):
        if row["largest"] > _LARGE * row["mean"] or row["effective_n"] < 0.25 * row["n"]:
            found.append(
                f"Positivity: in the arm {row['group']!r} one copy has the weight of"
                f" {row['largest']:.0f} and all are worth {row['effective_n']:.0f} of"
                f" {plural(row['n'], 'copy', 'copies')}: for some histories hardly anybody did what"
                " the arm asks for."
            )
    tied = int((at.begun == 0.0).sum())
    if tied:
        found.append(
            f"{plural(tied, 'patient')} began at time zero itself; they are taken as beginning in"
            " the first interval."
        )
    return tuple(found)


def _words(table: pd.DataFrame, at: Histories, immortal: float, horizon: float) -> str:
    began = np.isfinite(at.begun)
    follow = float(np.minimum(at.exit[began], horizon).sum())
    lost = int((~began & (at.exit <= at.edges[-1]) & (at.status == 1)).sum())
    by = table[table["quantity"] == "risk difference"].set_index("method")["estimate"]
    emulated = "With every patient in both arms until they depart from one"
    compared = (
        f", with a risk difference of {signed(by[NAIVE], 3)}. {emulated} it is"
        f" {signed(by[METHOD], 3)}:"
        " immortal time and who was chosen for treatment account for"
        f" {signed(by[NAIVE] - by[METHOD], 3)}."
        if np.isfinite(by[NAIVE])
        else f". {emulated} the risk difference is {signed(by[METHOD], 3)}."
    )
    return (
        f"{int(began.sum())} of {len(began)} patients began treatment by {at.edges[-1]:g}, and"
        f" none of them could have had the event before: {immortal:.0f} of their {follow:.0f} units"
        f" of follow-up ({100.0 * immortal / follow:.0f} %) are immortal."
        f" {plural(lost, 'patient')} had the event within the grace period before treatment could"
        f" begin, and count as untreated when patients are compared as they turned out{compared}"
    )
