"""What can be asked of every fitted mixed model; each answer is computed in a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from longsurv.results.contrasts import ContrastLike

if TYPE_CHECKING:
    from longsurv.diagnostics.influence import Influence
    from longsurv.results.means import Means
    from longsurv.results.mixed.bootstrap import Bootstrap


class MixedMethods:
    """Methods of estimates of mixed models."""

    def means(self: Any, specs: str | Sequence[str], at: Mapping[str, Any] | None = None) -> Means:
        """Estimated marginal means, and from them changes and differences; see `results.means`."""
        from longsurv.results.means import means

        return means(self, specs, at)

    def anova(self: Any) -> pd.DataFrame:
        """F test of each term given all others; see `results.mixed_measures.anova`."""
        from longsurv.results.mixed.measures import anova

        return anova(self)

    def r2(self: Any) -> pd.DataFrame:
        """Marginal and conditional R squared; see `results.mixed_measures.r2`."""
        from longsurv.results.mixed.measures import r2

        return r2(self)

    def profile(self: Any, of: ContrastLike | None = None, level: float = 0.95) -> pd.DataFrame:
        """Profile-likelihood intervals of all parameters or some; see `results.profile_lmm`."""
        from longsurv.results.mixed.profile import profile

        return profile(self, of, level)

    def bootstrap(
        self: Any,
        estimand: Callable[[Any], Any] | None = None,
        *,
        replicates: int = 999,
        seed: int = 1,
        n_jobs: int = 1,
    ) -> Bootstrap:
        """Parametric bootstrap of anything computed from a fit; see `results.bootstrap`."""
        from longsurv.results.mixed.bootstrap import bootstrap, parameters

        chosen = parameters if estimand is None else estimand
        return bootstrap(self, chosen, replicates=replicates, seed=seed, n_jobs=n_jobs)

    def residuals(self: Any) -> pd.DataFrame:
        """Residuals of every measurement; see `diagnostics.residuals`."""
        from longsurv.diagnostics.residuals import residuals

        return residuals(self)

    def qq(
        self: Any,
        of: str = "scaled",
        *,
        level: float = 0.95,
        simulations: int = 999,
        seed: int = 1,
    ) -> pd.DataFrame:
        """Quantile-quantile data with a simultaneous band; see `diagnostics.residuals.qq`."""
        from longsurv.diagnostics.residuals import qq

        return qq(self, of, level=level, simulations=simulations, seed=seed)

    def influence(
        self: Any,
        estimand: Any = None,
        *,
        by: str | None = None,
        level: float = 0.95,
    ) -> Influence:
        """Exact refits without each patient, or each site; see `diagnostics.influence`.

        The estimand is a function of a fit that gives a table, a number or several named numbers,
        or weights of a contrast; the coefficients by default.
        """
        from longsurv.diagnostics.influence import influence, tidy

        return influence(self, tidy if estimand is None else estimand, by=by, level=level)


class MixedPosteriorMethods:
    """Methods of posteriors of mixed models."""

    def means(self: Any, specs: str | Sequence[str], at: Mapping[str, Any] | None = None) -> Means:
        """Estimated marginal means, and from them changes and differences; see `results.means`."""
        from longsurv.results.means import means

        return means(self, specs, at)

    def r2(self: Any, level: float = 0.95) -> pd.DataFrame:
        """Posterior of marginal and conditional R squared; see `results.mixed_measures.r2`."""
        from longsurv.results.mixed.measures import r2

        return r2(self, level)
