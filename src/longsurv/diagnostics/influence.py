"""Influence of single patients: the model is refitted, variances and all, without each of them.

In a cohort of forty one patient can carry a result. A refit costs milliseconds, so none of the
usual one-step approximations is needed: a patient's rows are taken out of the data, or of the
sufficient statistics where a model has them, and the likelihood is maximised again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Annotated, ClassVar, Protocol

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular

from longsurv.arguments import checked
from longsurv.design.mixed import MixedDesign
from longsurv.design.names import free
from longsurv.errors import LongsurvError
from longsurv.figures.checks import ranked
from longsurv.figures.place import place_of
from longsurv.inference import Optimum
from longsurv.inference.specification import TableSpecification
from longsurv.likelihood.lmm.statistics import LMMData
from longsurv.likelihood.lmm.sums import in_blocks
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEEDED = ("term", "estimate", "std_error", "df", "p_value", "conf_low", "conf_high")

LOST = "without this patient's measurements the data no longer determine every coefficient"


class HasCovariance(Protocol):
    """What is used of the reference distribution of coefficients."""

    @property
    def cov(self) -> np.ndarray:
        """Their covariance, shape (p, p)."""


class Fitted(Protocol):
    """What is used of a fit."""

    @property
    def spec(self) -> TableSpecification[Fitted, object]:
        """What was fitted."""

    @property
    def design(self) -> MixedDesign:
        """Its arrays."""

    @property
    def reference(self) -> HasCovariance:
        """Covariance of the coefficients."""

    @property
    def coefficients(self) -> np.ndarray:
        """Shape (p,)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients."""

    @property
    def converged(self) -> bool:
        """Whether it can be relied on."""

    @property
    def optimum(self) -> Optimum:
        """Where the climb ended."""

    @property
    def data(self) -> object:
        """The arrays of the kernel: `LMMData` where they are sums over patients."""

    @property
    def again(self) -> Callable[..., Fitted]:
        """Another specification fitted as this one was."""

    def tidy(self) -> pd.DataFrame:
        """One row a term."""

    @property
    def contrast(self) -> Callable[..., pd.DataFrame]:
        """Linear combinations of coefficients."""


type Refitted = Annotated[Fitted, "a fit of an LMM or a GLMM"]
type Found = pd.DataFrame | pd.Series | Mapping[str, float] | float
type Estimand = (
    Callable[..., Found] | str | Mapping[str, float] | Sequence[float] | np.ndarray | pd.DataFrame
)


@dataclass(frozen=True, eq=False, repr=False)
class Influence(Readable):
    """What leaving out each patient does.

    Attributes
    ----------
    patients : DataFrame, one row a patient
        The patient; rows (measurements left out); cooks_distance; sigma (residual SD without the
        patient, of a linear model); turns (the estimands whose verdict would change); note (why a
        refit failed).
    terms : DataFrame, one row a patient and estimand
        The patient; term; estimate (without the patient); change (from all patients); change_in_se
        (over the standard error with all patients); p_value, conf_low, conf_high (without the
        patient); sign_changes; verdict_changes (the interval is no longer above 0, below it or
        across it as it was; never so for an estimand without an interval).
    level : float
        Of the intervals the verdicts rest on.
    unit : str
        What was left out: "patient", or the name of an outer grouping.
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "patients")

    patients: pd.DataFrame
    terms: pd.DataFrame
    level: float
    unit: str

    @property
    def words(self) -> str:
        """The finding in a sentence."""
        name = self.patients.columns[0]
        turning = self.terms[self.terms["verdict_changes"]]
        failed = int((self.patients["note"] != "").sum())
        tail = f" The model could not be fitted without {failed} of them." if failed else ""
        if turning.empty:
            return (
                f"No conclusion rests on one {self.unit}: with any of the {len(self.patients)} "
                f"left out, every {self.level:.0%} interval stays above 0, below it or across "
                f"it.{tail}"
            )
        parts = [
            f"{term} without {name} {', '.join(map(str, rows[name]))}"
            for term, rows in turning.groupby("term", sort=False)
        ]
        return f"Conclusions that rest on one {self.unit}: {'; '.join(parts)}.{tail}"

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the twenty who matter most, by how far the answers move without them.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; a new figure otherwise.

        Returns
        -------
        Axes
            Its label says in words what it shows.
        """
        return ranked(
            self.patients,
            "cooks_distance",
            xlabel="Cook's distance",
            words=self.words,
            ax=place_of(ax),
        )

    def __repr__(self) -> str:
        worst = self.patients.sort_values("cooks_distance", ascending=False).head(5)
        return f"{self.words}\nLargest Cook's distances:\n{worst.to_string(index=False)}"


def tidy(fit: Fitted) -> pd.DataFrame:
    """The fixed effects, the estimands of `influence` by default."""
    table = fit.tidy()
    return table[table["term"].isin(fit.design.fixed.names)]


COLUMNS = (
    "term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high",
    "change", "change_in_se", "sign_changes", "verdict_changes", "rows", "cooks_distance", "sigma",
    "turns", "note",
)  # fmt: skip
"""Columns of its tables beside the one that says who was left out."""


@checked
def influence(
    fit: Refitted, estimand: Estimand = tidy, *, by: str | None = None, level: float = 0.95
) -> Influence:
    """Refit a mixed model without each patient.

    Parameters
    ----------
    fit : MixedEstimate or GeneralisedEstimate
    estimand : callable or contrast, optional
        Takes a fit and returns a number, several by name, or a table with columns term, estimate,
        std_error, df, p_value, conf_low and conf_high on a scale where 0 is no effect, as in
        ``lambda f: f.means(["phase", "group"]).contrast("phase", "group")``. Or a contrast, as
        ``fit.contrast`` takes it. The coefficients by default.
    by : str, optional
        Leave out each group of an outer grouping, such as each site, instead of each patient.
    level : float
        Of the intervals that verdicts rest on, remade from estimand's own if it is not 0.95.

    Returns
    -------
    Influence
        Cook's distance is (b - b_i)' V^-1 (b - b_i) / p, with V the covariance of the coefficients
        b from all patients and b_i the coefficients without patient i (Cook 1977, Technometrics
        19:15-18).
    """
    precision = np.linalg.inv(fit.reference.cov)
    (grouping, group, labels), whole = _units(fit.design, by), _table(estimand, fit)
    name = str(free(grouping, COLUMNS))
    rows, tables = [], []
    for i, label in enumerate(labels):
        left_out = group == i
        try:
            without = _refit(fit, i, left_out)
        except (LongsurvError, np.linalg.LinAlgError) as error:
            rows.append((label, int(left_out.sum()), np.nan, np.nan, str(error)))
            continue
        step = fit.coefficients - without.coefficients
        cook = float(step @ precision @ step) / len(step)
        note = "" if without.converged else f"not converged: {without.optimum.status}"
        sigma = getattr(without, "sigma", np.nan)
        rows.append((label, int(left_out.sum()), cook, sigma, note))
        tables.append(_table(estimand, without).assign(**{name: label}))
    if not tables:
        raise LongsurvError("the model cannot be fitted without any one of the patients")
    terms = _compared(name, whole, pd.concat(tables, ignore_index=True), level)
    patients = pd.DataFrame(rows, columns=[name, "rows", "cooks_distance", "sigma", "note"])
    turns = terms[terms["verdict_changes"]].groupby(name, sort=False)["term"].agg("; ".join)
    patients.insert(4, "turns", [str(turns.get(label, "")) for label in patients[name]])
    if getattr(fit, "sigma", None) is None:  # no residual of its own
        patients = patients.drop(columns="sigma")
    unit = "patient" if grouping == fit.design.group_name else grouping
    return Influence(patients, terms, level, unit)


def _units(design: MixedDesign, by: str | None) -> tuple[str, np.ndarray, pd.Index]:
    """Name, group of each row, and labels of what is left out."""
    if by is None or by == design.group_name:
        return design.group_name, design.group, design.labels
    for grouping in design.outer:
        if grouping.name == by:
            return grouping.name, grouping.group, grouping.labels
    known = [design.group_name, *(grouping.name for grouping in design.outer)]
    raise LongsurvError(f"by is one of {known}, not {by!r}")


def _table(estimand: Estimand, fit: Fitted) -> pd.DataFrame:
    """The estimand of a fit as a table of `NEEDED`, which of a bare number is mostly missing."""
    found = estimand(fit) if callable(estimand) else fit.contrast(estimand)
    if not isinstance(found, pd.DataFrame):
        if isinstance(found, pd.Series):
            found = found.to_dict()
        numbers = found if isinstance(found, Mapping) else {"estimand": found}
        if not all(isinstance(value, Real) for value in numbers.values()):
            raise LongsurvError(
                "the estimand is a function of a fit that returns a number, numbers by name or a "
                f"table; it returned {type(found).__name__}"
            )
        numbers = {name: float(value) for name, value in numbers.items()}
        table = pd.DataFrame({"term": list(numbers), "estimate": list(numbers.values())})
        found = table.reindex(columns=list(NEEDED)).astype(dict.fromkeys(NEEDED[1:], float))
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise LongsurvError(
            f"the estimand's table has no column {missing}; it needs {list(NEEDED)}"
        )
    if found["term"].duplicated().any():
        raise LongsurvError("the estimand's table names a term twice")
    return found


def _verdict(table: pd.DataFrame, level: float) -> pd.Series:
    """1 for an interval above 0, -1 for one below, 0 for one across."""
    low, high = table["conf_low"], table["conf_high"]
    if level != 0.95:
        from scipy.stats import t

        width = t.ppf(0.5 + level / 2.0, table["df"]) * table["std_error"]
        low, high = table["estimate"] - width, table["estimate"] + width
    return (low > 0).astype(int) - (high < 0).astype(int)


def _compared(name: str, whole: pd.DataFrame, without: pd.DataFrame, level: float) -> pd.DataFrame:
    """Every estimand without each patient, beside itself with all of them."""
    all_patients = whole.set_index("term").reindex(without["term"])
    verdict = _verdict(whole, level).set_axis(whole["term"]).reindex(without["term"])
    estimate = all_patients["estimate"].to_numpy()
    change = without["estimate"] - estimate
    return pd.DataFrame(
        {
            name: without[name],
            "term": without["term"],
            "estimate": without["estimate"],
            "change": change,
            "change_in_se": change / all_patients["std_error"].to_numpy(),
            "p_value": without["p_value"],
            "conf_low": without["conf_low"],
            "conf_high": without["conf_high"],
            "sign_changes": np.sign(without["estimate"]) * np.sign(estimate) < 0,
            "verdict_changes": _verdict(without, level) != verdict.to_numpy(),
        }
    )


def _refit(fit: Fitted, i: int, left_out: np.ndarray) -> Fitted:
    """The model without patient i, whose rows are marked in left_out, shape (n,)."""
    kept, design = ~left_out, fit.design
    if not isinstance(fit.data, LMMData):
        others = np.ones(len(fit.spec.data), dtype=bool)
        others[design.rows[left_out]] = False
        without = fit.again(fit.spec.with_data(fit.spec.data.loc[others]))
        if without.names != fit.names:
            raise LongsurvError(LOST)
        return without
    X, y = design.fixed.X[left_out], design.y[left_out]
    weights = design.weights
    if weights is not None:
        root = weights.root[left_out]
        X, y = X * root[:, None], y * root
        weights = replace(weights, values=weights.values[kept])
    statistics = without_patient(fit.data, i, X, y)
    # Q was orthonormal with all patients in.
    if np.linalg.eigvalsh(statistics.cross[:-1, :-1]).min(initial=1.0) < 1e-10:
        raise LongsurvError(LOST)
    group = design.group[kept]
    smaller = replace(
        design,
        y=design.y[kept],
        fixed=replace(design.fixed, X=design.fixed.X[kept]),
        random=replace(design.random, X=design.random.X[kept]),
        group=group - (group > i),
        labels=design.labels.delete(i),
        rows=design.rows[kept],
        weights=weights,
    )
    return fit.again(fit.spec.with_design(smaller, statistics))


def without_patient(data: LMMData, i: int, X: np.ndarray, y: np.ndarray) -> LMMData:
    """Sufficient statistics less those of patient i, whose rows, times the roots of their weights,
    are X (n_i, p) and y (n_i,).

    The coordinates stay those of all patients: nothing in the likelihood needs Q to be orthonormal,
    and log |X' V^-1 X| is the same in any.
    """
    Q = solve_triangular(data.r, X.T, trans="T").T
    W = np.column_stack([Q, y - X @ data.beta_ols])
    ztz, ztw = np.delete(data.ztz, i, axis=0), np.delete(data.ztw, i, axis=0)
    return replace(
        data,
        blocks=(in_blocks(ztz), in_blocks(ztw)),
        cross=data.cross - W.T @ W,
        nobs=data.nobs - len(y),
        log_weights=np.delete(data.log_weights, i),
    )
