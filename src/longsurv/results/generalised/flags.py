"""What a reader must know of a generalised mixed model's boundaries and quadrature."""

from __future__ import annotations

import numpy as np

from longsurv.design.generalised import GeneralisedDesign
from longsurv.likelihood import glmm
from longsurv.results.generalised.quantities import with_rule

QUADRATURE_TOLERANCE = 0.01
"""Log-likelihood by which a finer rule may differ before the result says so."""


def quadrature_name(nodes: int, q: int) -> str:
    """How the random effects are integrated out, in words."""
    if nodes == 1:
        return "Laplace's approximation"
    return f"adaptive Gauss-Hermite quadrature with {nodes}{f'^{q}' if q > 1 else ''} nodes"


def boundaries(
    design: GeneralisedDesign, data: glmm.GLMMData, theta: np.ndarray, values: np.ndarray
) -> dict[str, str]:
    """Variance parameters on their boundary, with what to say about them."""
    rows, columns = data.entries
    diagonal = np.diag(glmm.random_factor(data, theta))
    block = np.repeat(np.arange(len(data.blocks)), data.blocks)
    singular = {int(block[k]) for k in np.flatnonzero(diagonal == 0.0)}
    in_block = iter(int(block[i]) for i, j in zip(rows, columns, strict=True) if i > j)
    out: dict[str, str] = {}
    for name, value in zip(design.variance_names, values, strict=True):
        if name.startswith("sd(") and value == 0.0:
            out[name] = (
                f"Boundary: {name} is estimated as exactly 0; the data show no more variation "
                f"between {design.group_name} than chance explains."
            )
        # Far from the origin a correlation can be all but 1 although the effects are two.
        elif name.startswith("cor("):
            fewer = next(in_block) in singular
            if np.isnan(value):
                out[name] = f"Boundary: {name} does not exist, as one of its effects is 0."
            elif fewer and abs(value) > 1.0 - 1e-6:
                out[name] = (
                    f"Boundary: {name} is estimated as {value:+.0f}; the random effects have fewer "
                    "dimensions than the formula gives them."
                )
        elif name == "nu" and np.isinf(value):
            out[name] = (
                "Boundary: nu is estimated as infinite; the residuals' tails are no heavier than "
                "normal."
            )
    return out


def quadrature_flags(
    data: glmm.GLMMData, theta: np.ndarray, value: float, nodes: int
) -> tuple[str, ...]:
    """Whether more nodes would change the log-likelihood, which is `value` at theta."""
    finer = nodes + 6 if data.q == 1 else nodes + 4 if data.q == 2 else max(3, nodes + 2)
    if finer**data.q > 1000:
        return ("The number of nodes was not checked: a finer rule would be too large.",)
    change = glmm.loglik_factor(with_rule(data, finer), theta)[0] - value
    if abs(change) <= QUADRATURE_TOLERANCE:
        return ()
    return (
        f"With {finer} quadrature nodes a dimension instead of {nodes} the log-likelihood here is "
        f"{change:+.2g} different: raise nodes.",
    )
