"""Correlations of a patient's residuals, a file each.

Pinheiro & Bates (2000), Mixed-Effects Models in S and S-PLUS, section 5.3; Jennrich & Schluchter
(1986), Biometrics 42:805-820.
"""

from longsurv.likelihood.residuals.autoregressive import Autoregressive
from longsurv.likelihood.residuals.compound_symmetry import CompoundSymmetry
from longsurv.likelihood.residuals.correlation import Correlation, Pairs
from longsurv.likelihood.residuals.exponential import ExponentialCorrelation
from longsurv.likelihood.residuals.independent import Independent
from longsurv.likelihood.residuals.toeplitz import Toeplitz
from longsurv.likelihood.residuals.unstructured import Unstructured

__all__ = ["CORRELATIONS", "Correlation", "Pairs"]

CORRELATIONS: dict[str, Correlation] = {
    kind.name: kind
    for kind in (
        Independent(),
        CompoundSymmetry(),
        Autoregressive(),
        ExponentialCorrelation(),
        Toeplitz(),
        Unstructured(),
    )
}
"""What `longsurv.Residual` calls them; a further one is a file and a line here."""
