"""What can be asked of every fitted mixed model that draws new responses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from longsurv.results.simulated import Simulated

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from longsurv.diagnostics.influence import Found
    from longsurv.results.bootstrap import Bootstrap


class Simulating:
    """Methods of estimates of mixed models, linear and generalised."""

    def bootstrap(
        self: Simulated,
        estimand: Callable[..., Found] | None = None,
        *,
        replicates: int = 999,
        seed: int = 1,
        n_jobs: int = 1,
    ) -> Bootstrap:
        """Parametric bootstrap: simulate data from the fit, refit, compute the estimand again.

        Parameters
        ----------
        estimand : callable, optional
            Takes a fit and returns a number, a Series or mapping of numbers by term, or a table
            with columns term and estimate. Coefficients and variance parameters by default.
        replicates : int
            At least 2.
        seed : int
            The draws are the same whatever n_jobs is.
        n_jobs : int
            Processes; -1 for one a processor.

        Returns
        -------
        Bootstrap
            With `tidy` for intervals, `draws`, `bias` and `failures`.

        Raises
        ------
        LongsurvError
            If fewer than half of the replicates can be fitted.
        """
        from longsurv.results.bootstrap import bootstrap, parameters

        chosen = parameters if estimand is None else estimand
        return bootstrap(self, chosen, replicates=replicates, seed=seed, n_jobs=n_jobs)

    def simulate(self: Simulated, n: int = 1, seed: int = 1) -> pd.DataFrame:
        """Draw responses of the same patients at the same times from the fitted model.

        Random effects and residuals are both drawn anew.

        Parameters
        ----------
        n : int
            Data sets.
        seed : int

        Returns
        -------
        DataFrame
            Indexed as the rows of the fit; one column a data set, simulation_1 and so on, on the
            scale of the formula's left-hand side: of an ordinal response its categories, of one
            with limits what the values are, beyond a limit too.

        Raises
        ------
        LongsurvError
            If there is no estimate of some variance, or the fit has not converged.
        """
        from longsurv.results.simulated import simulate

        return simulate(self, n, seed)

    def refit[F: Simulated](self: F, new_y: ArrayLike | pd.Series) -> F:
        """Fit the same model to other measurements of the same rows, by the same method.

        Where the fit has values below one limit, or above one, so have the new: what lies beyond it
        is taken as such.

        Parameters
        ----------
        new_y : array-like or Series, shape (n,)
            On the scale of the formula's left-hand side, as a column of `simulate`.

        Returns
        -------
        MixedEstimate or GeneralisedEstimate

        Raises
        ------
        LongsurvError
            For another number of measurements, other rows, a missing one, or one that the family
            cannot have; where limits differ, or are two of one value, so that nothing says what
            would have been seen of other values.
        """
        from longsurv.results.simulated import measured, refit

        return refit(self, measured(self, new_y))
