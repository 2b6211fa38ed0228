"""Mixed models with correlated residuals and nested groups."""

from longsurv.likelihood.lmm.dense.loglik import (
    Term,
    prepare,
)

__all__ = [
    "Term",
    "prepare",
]
