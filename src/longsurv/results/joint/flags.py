"""What a reader must know of a joint model, and of a climb of it that has no maximum."""

from __future__ import annotations

import numpy as np

from longsurv.design.joint import JointDesign
from longsurv.inference import Optimum
from longsurv.likelihood import joint
from longsurv.likelihood.hazard.separation import recession
from longsurv.likelihood.joint.coordinates import ENDLESS
from longsurv.results.assemble import design_flags
from longsurv.words import plural, verb

FEW_EVENTS = 10


def joint_flags(design: JointDesign) -> tuple[str, ...]:
    """What to say of the data: rows left out, columns dropped, few events."""
    flags: list[str] = []
    several = len(design.markers) > 1
    for marker in design.markers:
        own = [*design_flags(marker.design), *getattr(marker.design, "notes", ())]
        flags += [f"{marker.name}: {flag}" if several else flag for flag in own]
    for cause in design.causes:
        which = f"{cause.name}: " if cause.suffix else ""
        flags += [which + flag for flag in design_flags(cause.event)]
    flags += design.flags
    for cause in design.causes:
        events = int(cause.status.sum())
        n = len(cause.covariate_names) + len(cause.association_names)
        if events < FEW_EVENTS * n:
            whose = f" of {cause.name!r}" if cause.suffix else ""
            flags.append(
                f"There {verb(events, 'is', 'are')} {plural(events, 'event')}{whose} for "
                f"{plural(n, 'coefficient')} of the hazard: the association is weakly identified "
                f"below about {FEW_EVENTS} events a coefficient."
            )
    return tuple(flags)


def method_words(design: JointDesign, data: joint.JointData, head: str) -> str:
    """How a model was fitted, in words."""
    counts = [(c.name if c.suffix else "events", int(c.status.sum())) for c in design.causes]
    words = ", ".join(f"{n} {name}" for name, n in counts)
    kinds = sorted({cause.baseline.kind for cause in design.causes})
    return (
        f"{head}, {' and '.join(kinds)} baseline, {len(data.nodes)} Gauss-Hermite nodes a random "
        f"effect, {plural(data.n_patients, 'patient')}, {words}"
    )


def lost_terms(optimum: Optimum, design: JointDesign, determined: np.ndarray) -> list[str]:
    """Parameters the data do not determine, without what only a boundary leaves so."""
    on_boundary = set(optimum.at_boundary)
    if any(name.startswith("sd(") for name in on_boundary):
        on_boundary |= {name for name in design.variance_names if name.startswith("cor(")}
    named = zip(design.theta_names, determined, strict=True)
    return [name for name, known in named if not known and name not in on_boundary]


def endless_terms(design: JointDesign, at: np.ndarray, lost: list[str]) -> dict[str, str]:
    """Of coefficients of the hazard without a maximum, what can be said of them, by name.

    `at`, shape (d,), is where the climb ended, in its own coordinates.
    """
    u = dict(zip(design.theta_names, at, strict=True))
    for cause in design.causes if lost else ():
        away = recession(cause.covariates, cause.covariates[cause.status == 1])
        if away is not None:  # the level of average covariates goes with them
            u |= dict(zip(cause.covariate_names, np.sign(away) * ENDLESS, strict=True))
            u |= {n: ENDLESS * np.sign(u[n]) for n in cause.baseline_names if n in lost}
    out = {}
    for name in lost:
        if abs(u[name]) > ENDLESS - 1.0:
            way = "larger" if u[name] > 0.0 else "smaller"
            out[name] = (
                f"The likelihood rises without end as {name} gets {way} (as where a group or a "
                "stretch of time has no events): there is no estimate of it, only that direction. "
                "The other estimates are those at that end."
            )
    return out


def boundary_flag(optimum: Optimum) -> tuple[str, ...]:
    """What to say of variance parameters on their boundary."""
    if not optimum.at_boundary:
        return ()
    listed = ", ".join(optimum.at_boundary)
    return (
        f"On the boundary: {listed}. A standard deviation there is 0, a correlation -1 or 1; it "
        "has no standard error, and those of the others take it as given.",
    )


def flat_reasons(design: JointDesign) -> str:
    """What may leave a direction of a joint model undetermined."""
    out = ["The likelihood is the same along a line of these parameters."]
    for cause in design.causes:
        for one in cause.associations:
            marker = design.markers[one.marker]
            if one.kind == "slope" and not _differs(marker.design.random.X):
                out.append(
                    f"The random effects of {marker.name} do not change its slope: patients of "
                    "one group all have the same, which the hazard can't be told to depend on."
                )
    return " ".join(dict.fromkeys(out))


def _differs(Z: np.ndarray) -> bool:
    """Whether any column of the random effects changes between rows."""
    return bool((np.ptp(Z, axis=0) > 0.0).any())
