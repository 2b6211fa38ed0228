"""Leave-one-patient-out of a joint model: an exact refit from the mode, in milliseconds.

The log-likelihood without patient i is that of all less that of i, and its maximum is near. Newton
steps with the curvature of all patients less that of i reach it in a few gradients. Knots of the
baseline and the points at which covariates and links are centred stay those of all patients: the
model is the same, only the data lack a patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.estimands.joint_rows import FittedJoint, JointResult, joint_spec
from longsurv.figures.checks import ranked
from longsurv.figures.place import place_of
from longsurv.inference import hessian, maximise
from longsurv.inference.density import LogDensity
from longsurv.likelihood import joint
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.design.joint import JointDesign

MOST_STEPS = 12
SMALL_DECREMENT = 1e-10


@dataclass(frozen=True, eq=False, repr=False)
class JointInfluence(Readable):
    """What leaving out each patient does to a joint model.

    Attributes
    ----------
    patients : DataFrame, one row a patient
        The patient; event; rows (measurements); displacement, 2 (l(all) - l(without)) of the
        likelihood of all patients; note (why a refit failed).
    terms : DataFrame, one row a patient and term
        The patient; term; estimate (without the patient); change (from all patients); dfbetas (the
        change over the standard error with all patients); sign_changes.
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "patients")

    patients: pd.DataFrame
    terms: pd.DataFrame

    @property
    def words(self) -> str:
        """The patient who matters most for each term."""
        name, lines = self.patients.columns[0], []
        for term, rows in self.terms.groupby("term", sort=False):
            most = rows.loc[rows["dfbetas"].abs().idxmax()]
            whole = most["estimate"] - most["change"]
            lines.append(
                f"{term} is {whole:.3g}, and {most['estimate']:.3g} without {name} {most[name]} "
                f"({abs(most['dfbetas']):.2f} standard errors), the patient who matters most."
            )
        turning = self.terms[self.terms["sign_changes"]]
        lines += [
            f"The sign of {term} turns without {name} {', '.join(map(str, rows[name]))}."
            for term, rows in turning.groupby("term", sort=False)
        ]
        failed = int((self.patients["note"] != "").sum())
        if failed:
            lines.append(f"The model could not be fitted without {failed} of the patients.")
        return " ".join(lines)

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
            "displacement",
            xlabel="Likelihood displacement",
            words=self.words,
            ax=place_of(ax),
        )

    def __repr__(self) -> str:
        worst = self.patients.sort_values("displacement", ascending=False).head(5)
        return f"{self.words}\nLargest displacements:\n{worst.to_string(index=False)}"


@checked
def joint_influence(fit: JointResult, terms: Sequence[str] | None = None) -> JointInfluence:
    """Refit a joint model without each patient.

    Parameters
    ----------
    fit : JointEstimate
    terms : sequence of str, optional
        By default the coefficients of the hazard: covariates (treatment among them) and
        associations.

    Returns
    -------
    JointInfluence

    Raises
    ------
    LongsurvError
        For a posterior or an unknown term.
    """
    joint_spec(fit, "joint_influence", markers=True, causes=True, limits=True)
    if fit.engine != "ml":
        raise LongsurvError("joint_influence takes a maximum-likelihood fit; use spec.fit()")
    design, names = fit.design, list(fit.design.theta_names)
    chosen = list(design.event_names) if terms is None else list(terms)
    unknown = [term for term in chosen if term not in names]
    if unknown or not chosen:
        raise LongsurvError(f"the model has no terms {unknown}; it has {names}")
    at = [names.index(term) for term in chosen]
    se = np.sqrt(np.diag(fit.cov_theta))[at]
    whole = joint.loglik(fit.data, fit.theta)[0]
    rows, tables = [], []
    for i, label in enumerate(design.labels):
        mine = sum(int((marker.group == i).sum()) for marker in design.markers)
        theta, note = without_patient(fit, i)
        displacement = np.nan
        if theta is not None:
            displacement = 2.0 * (whole - joint.loglik(fit.data, theta)[0])
            change = theta[at] - fit.theta[at]
            tables.append(
                pd.DataFrame(
                    {
                        design.group_name: label,
                        "term": chosen,
                        "estimate": theta[at],
                        "change": change,
                        "dfbetas": change / se,
                        "sign_changes": theta[at] * fit.theta[at] < 0,
                    }
                )
            )
        rows.append((label, int(design.status[i]), mine, displacement, note))
    if not tables:
        raise LongsurvError("the model cannot be fitted without any one of the patients")
    columns = [design.group_name, "event", "rows", "displacement", "note"]
    return JointInfluence(pd.DataFrame(rows, columns=columns), pd.concat(tables, ignore_index=True))


def without_patient(fit: FittedJoint, i: int) -> tuple[np.ndarray | None, str]:
    """Maximum of the likelihood without patient i, shape (d,), or why there is none.

    Climbed in the kernel's parameters, whose gradients need no change of coordinates.
    """
    data, one = fit.data, one_patient(fit.design, fit.data, i)
    psi = data.own(fit.theta)
    to_theta = data.derivative(psi)

    def own(x: np.ndarray) -> tuple[float, np.ndarray]:
        return joint.own_loglik(one, x)

    def others(x: np.ndarray) -> tuple[float, np.ndarray]:
        (value, slope), (less, minus) = joint.own_loglik(data, x), own(x)
        return value - less, slope - minus

    curvature = -(to_theta.T @ fit.optimum.hessian @ to_theta - hessian(own, psi))
    found = _newton(others, psi, curvature)
    if found is not None:
        return data.plain(found), ""

    def second_order(x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        value, gradient = others(x)
        return value, gradient, hessian(others, x)

    optimum = maximise(others, psi, fit.design.theta_names, second_order=second_order)
    if optimum.converged:
        return data.plain(optimum.x), ""
    return None, optimum.status


def _newton(density: LogDensity, x: np.ndarray, curvature: np.ndarray) -> np.ndarray | None:
    """Steps with one curvature (d, d) from near a maximum; None if they do not get there."""
    try:
        half = np.linalg.cholesky(curvature)
    except np.linalg.LinAlgError:
        return None
    value, gradient = density(x)
    for _ in range(MOST_STEPS):
        white = np.linalg.solve(half, gradient)
        if not np.isfinite(white).all():
            return None
        if white @ white < SMALL_DECREMENT:
            return x
        ahead = x + np.linalg.solve(half.T, white)
        value_ahead, gradient = density(ahead)
        if not value_ahead >= value - 1e-8 * abs(value):
            return None
        x, value = ahead, value_ahead
    return None


def one_patient(design: JointDesign, data: joint.JointData, i: int) -> joint.JointData:
    """The arrays of patient i alone, in the coordinates of all."""
    values = []
    for marker, whole in zip(design.markers, data.markers, strict=True):
        mine, d = marker.group == i, marker.design
        zero = np.zeros(int(mine.sum()), dtype=np.int64)
        kind = zero if marker.kind is None else marker.kind[mine]
        values.append(whole.of(d.fixed.X[mine], d.y[mine], d.Z[mine], zero, 1, kind))
    alone = _of(replace(data, markers=tuple(values), truncation=None), i)
    cut = data.truncation
    if cut is None or i not in cut.who:
        return alone
    k = int(np.flatnonzero(cut.who == i)[0])
    nothing = replace(cut.data, markers=tuple(whole.without_values(1) for whole in data.markers))
    before = joint.Truncation(np.zeros(1, dtype=np.int64), _of(nothing, k))
    return replace(alone, truncation=before)


def _of(data: joint.JointData, i: int) -> joint.JointData:
    """The same with the causes of patient i only."""
    causes = []
    for cause in data.causes:
        here = slice(cause.start[i], cause.start[i + 1])
        links = tuple(
            joint.LinkData(link.marker, link.x[:, here], link.z[:, here], link.centre[here])
            for link in cause.links
        )
        causes.append(
            joint.CauseData(
                event=cause.event[i : i + 1],
                covariates=cause.covariates[i : i + 1],
                start=np.array([0, cause.start[i + 1] - cause.start[i]]),
                weight=cause.weight[here],
                basis=np.ascontiguousarray(cause.basis[:, here]),
                links=links,
            )
        )
    return replace(data, causes=tuple(causes))
