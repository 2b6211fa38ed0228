"""What can be asked of every fitted generalised mixed model; computed in modules of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longsurv.diagnostics.influence import Influence
    from longsurv.results.generalised.means import ResponseMeans
    from longsurv.results.means import Means


class GeneralisedPosteriorMethods:
    """Methods of posteriors, and of estimates too."""

    def means(self: Any, specs: str | Sequence[str], at: Mapping[str, Any] | None = None) -> Means:
        """Marginal means of the linear predictor, of a patient whose random effects are zero.

        ``contrast(..., ratio=True)`` gives odds ratios for a binary or ordinal response, and
        ``ratio="log"`` ratios of geometric means for a marker on a log scale; see `results.means`.
        The means of an ordinal response leave out the thresholds, which differences do not need.
        """
        from longsurv.results.means import means

        return means(self, specs, at)

    def response_means(
        self: Any,
        specs: str | Sequence[str],
        at: Mapping[str, Any] | None = None,
        *,
        patients: str = "population",
        at_least: Any = None,
    ) -> ResponseMeans:
        """Marginal probabilities or mean scores, of all patients or a typical one.

        See `results.generalised_means.response_means`.
        """
        from longsurv.results.generalised.means import response_means

        return response_means(self, specs, at, patients=patients, at_least=at_least)


class GeneralisedMethods(GeneralisedPosteriorMethods):
    """Methods of estimates."""

    def influence(
        self: Any,
        estimand: Callable[[Any], Any] | None = None,
        *,
        level: float = 0.95,
    ) -> Influence:
        """Exact refits without each patient; see `diagnostics.influence`."""
        from longsurv.diagnostics.influence import influence, tidy

        return influence(self, tidy if estimand is None else estimand, level=level)
