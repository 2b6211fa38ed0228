"""Bayesian answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal, cast

import numpy as np
import pandas as pd

from longsurv.arguments import check_methods
from longsurv.diagnostics.convergence import chain_headings
from longsurv.inference import Draws, Optimum
from longsurv.inference.specification import AnySpecification
from longsurv.priors import Prior, Stack
from longsurv.results import plots, summaries
from longsurv.results.assemble import TableDesign
from longsurv.results.contrasts import ContrastLike, contrast_matrix, position
from longsurv.results.idata import Pointwise, to_datatree
from longsurv.results.log_scale import Logarithm, coefficient_base, ratios
from longsurv.results.options import Component
from longsurv.results.plots import Plotted
from longsurv.results.prior_share import all_prior, all_prior_flag, marginal_prior
from longsurv.tables.result import Result
from longsurv.tables.summary import Summary
from longsurv.words import plural, verb

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDData
    from matplotlib.axes import Axes
    from xarray import DataTree

    from longsurv.diagnostics import Verdict

TIDY = [
    "term", "estimate", "std_error", "conf_low", "conf_high",
    "prob_positive", "r_hat", "ess_bulk", "ess_tail", "mcse_mean",
]  # fmt: skip

type Mixing = tuple[float, float, float, float]


@dataclass(frozen=True, repr=False, eq=False)
class Posterior(Plotted, Result):
    """Draws from the posterior of a model.

    Attributes
    ----------
    engine : "bayes"
        How every answer of this kind is told from an estimate's, whose engine is "ml".
    spec : the model specification
    design : the arrays it was fitted to
    names : tuple of str
        Coefficients.
    samples : mapping of str to ndarray, shape (chains, draws)
        Draws of every scalar parameter on its natural scale, by term: coefficients first, then
        variance parameters.
    stack : Stack
        The priors.
    draws : Draws
        The sampler's record, with the mode it started from.
    log_prior : mapping of str to ndarray, shape (chains, draws)
        Log prior density of each parameter at the draws.
    method : str
    flags : tuple of str
    """

    engine: ClassVar[Literal["bayes"]] = "bayes"

    spec: AnySpecification
    design: object
    names: tuple[str, ...]
    samples: Mapping[str, np.ndarray]
    stack: Stack
    draws: Draws
    log_prior: Mapping[str, np.ndarray]
    method: str
    flags: tuple[str, ...]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_methods(cls)

    @property
    def mode(self) -> Optimum | None:
        """Posterior mode on the unconstrained scale; None if there was no climb."""
        return self.draws.mode

    @property
    def coefficients(self) -> np.ndarray:
        """Draws of the coefficients, shape (chains, draws, p)."""
        return np.stack([self.samples[name] for name in self.names], axis=-1)

    @property
    def priors(self) -> dict[str, Prior]:
        """The prior of each scalar parameter as named, by term.

        Where the priors were stated in other coordinates (see `PriorStack.basis`) it follows from
        them; as a normal of its mean and SD where it is of no family.
        """
        return {name: marginal_prior(self.stack, name) for name in self.stack.names}

    @cached_property
    def idata(self) -> DataTree:
        """The draws as an ArviZ DataTree, put together when it is first asked for.

        Its groups are posterior, sample_stats, log_likelihood, log_prior and observed_data.
        """
        return to_datatree(self.samples, self.draws, self.log_prior, self._pointwise())

    def _pointwise(self) -> Pointwise:
        """The log-likelihood of each independent unit at each draw."""
        raise NotImplementedError

    @cached_property
    def all_prior(self) -> tuple[str, ...]:
        """Coefficients that the data say as good as nothing about: their posterior is the prior."""
        return all_prior(self.stack, self.samples, self.names)

    @cached_property
    def _verdict(self) -> Verdict:
        from longsurv.diagnostics.convergence import of_posterior, of_quadrature, told_again

        told = all_prior_flag(self.stack, self.all_prior)
        flags = (told, *self.flags) if told else self.flags
        error = self.draws.quadrature_error
        if error is not None:
            return of_quadrature(self.draws.theta[..., 0].size, error, flags, self.all_prior)
        table = self._summary(list(self.samples), 0.95)
        told_twice = (*told_again(self.draws), *flags)
        return of_posterior(table, self.draws.stats, told_twice, self.all_prior)

    @cached_property
    def _mixing(self) -> dict[str, Mixing]:
        return {term: mixing(values) for term, values in self.samples.items()}

    def _summary(self, terms: Sequence[str], level: float) -> pd.DataFrame:
        """Rows of these parameters; how their chains mix is worked out once for all tables."""
        return summarise({term: self.samples[term] for term in terms}, level, self._mixing)

    @property
    def headings(self) -> tuple[str, ...]:
        """What is wrong with the answer, to stand before its numbers; nothing if nothing is."""
        told = all_prior_flag(self.stack, self.all_prior)
        return (*chain_headings(self._verdict), *([told] if told else []))

    @property
    def converged(self) -> bool:
        """Whether the chains agree, without divergences (see `diagnose`)."""
        return not any("NOT CONVERGED" in text for text in chain_headings(self._verdict))

    def _marked(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table, with what a reader of its numbers must know among its attributes."""
        flags = tuple(dict.fromkeys((*self.headings, *self.flags)))
        table.attrs |= {"converged": self.converged, "flags": flags}
        return table

    @property
    def nobs(self) -> int:
        """Observations used."""
        return len(cast(TableDesign, self.design).rows)

    def draw(self, term: str) -> np.ndarray:
        """Draws of one parameter, shape (chains, draws).

        Parameters
        ----------
        term : str
            As in `tidy`.

        Returns
        -------
        ndarray, shape (chains, draws)
        """
        return self.samples[list(self.samples)[position(term, list(self.samples))]]

    def tidy(
        self,
        level: float = 0.95,
        component: Component = "fixed",
        *,
        exponentiate: bool | Logarithm = False,
    ) -> pd.DataFrame:
        """One row a term: posterior mean, SD and equal-tailed interval, with convergence measures.

        Parameters
        ----------
        level : float
            Of the equal-tailed interval.
        component : {"fixed", "variance", "all"}
        exponentiate : bool or {"log", "log2", "log10"}
            Ratios in place of differences on a log scale: estimate and limits are exponentiated,
            std_error stays that of the logarithm. True needs a model whose coefficients are
            logarithms (of odds, rates, hazards, or of a response that the formula takes the
            logarithm of); name the logarithm if the column holds values already transformed.

        Returns
        -------
        DataFrame
            term, estimate, std_error, conf_low, conf_high, prob_positive, r_hat, ess_bulk,
            ess_tail, mcse_mean (the Monte Carlo standard error of `estimate`). Its `attrs` have
            "converged" and "flags".
        """
        if exponentiate:
            base = coefficient_base(self.design, component, exponentiate)
            return ratios(self.tidy(level), base)
        wanted = {
            "fixed": list(self.names),
            "variance": [name for name in self.samples if name not in self.names],
            "all": list(self.samples),
        }[component]
        return self._marked(self._summary(wanted, level))

    def contrast(self, of: ContrastLike, level: float = 0.95) -> pd.DataFrame:
        """Linear combinations of coefficients, in the grammar of `tidy` (see
        `Estimate.contrast`).

        Parameters
        ----------
        of : str, mapping, array or DataFrame
            A coefficient's name; weights by name; an array of shape (p,) or (r, p); or a DataFrame
            with labelled rows.
        level : float
            Of the equal-tailed intervals.

        Returns
        -------
        DataFrame
            One row a combination.
        """
        L, labels = contrast_matrix(of, self.names)
        values = self.coefficients @ L.T
        return self._marked(
            summarise({name: values[..., k] for k, name in enumerate(labels)}, level)
        )

    def loo(self, *, pointwise: bool = False) -> ELPDData:
        """Leave-one-out cross-validation by Pareto-smoothed importance sampling (ArviZ).

        Parameters
        ----------
        pointwise : bool
            Whether to keep what each unit that is left out adds, and its Pareto k.
        """
        import arviz as az

        return az.loo(self.idata, pointwise=pointwise)

    def prior_sensitivity(self) -> pd.DataFrame:
        """Power-scaling sensitivity of each parameter to prior and likelihood (ArviZ; Kallioinen et
        al. 2024)."""
        import arviz as az

        return pd.DataFrame(az.psense_summary(self.idata))

    def glance(self) -> pd.DataFrame:
        """The run in one row; its `attrs` are those of `tidy`."""
        table = self.tidy(component="all")
        chains, draws = self.draws.theta.shape[:2]
        row = pd.DataFrame(
            [
                {
                    "nobs": self.nobs,
                    "chains": chains,
                    "draws": draws,
                    "tune": self.draws.tune,
                    "seed": self.draws.seed,
                    "divergences": int(self.draws.stats["diverging"].sum()),
                    "r_hat_max": table["r_hat"].max(),
                    "ess_min": table[["ess_bulk", "ess_tail"]].min().min(),
                    "seconds": self.draws.seconds,
                    "method": self.method,
                }
            ]
        )
        return self._marked(row)

    def diagnose(self) -> Verdict:
        """Whether the chains can be trusted: a `longsurv.diagnostics.Verdict`."""
        return self._verdict

    def _run(self) -> str:
        chains, draws = self.draws.theta.shape[:2]
        if self.draws.quadrature_error is not None:
            return f"{plural(chains * draws, 'point')} of equal probability"
        return (
            f"{chains} {verb(chains, 'chain', 'chains')} x {draws}"
            f" {verb(draws, 'draw', 'draws')} after {self.draws.tune}"
        )

    def __repr__(self) -> str:
        lines = [
            f"{type(self.spec).__name__}: {self.spec.formula}",
            *self.headings,
            f"{self.method}; {self._run()}; seed {self.draws.seed}",
            "posterior means, 95 % equal-tailed intervals",
            "",
            summaries.text_table(self.tidy(component="all")),
            "Priors: " + "; ".join(f"{k} ~ {v}" for k, v in self.stack.describe().items()),
        ]
        return "\n".join(lines + [f"Note: {flag}" for flag in self.flags])

    def summary(self, level: float = 0.95) -> Summary:
        """The posterior as a reader sees it: what it is of, coefficients, variances, priors, notes.

        Parameters
        ----------
        level : float
            Of the equal-tailed intervals, between 0 and 1.

        Returns
        -------
        Summary
            Prints as text and shows itself in a notebook; `to_markdown`, `to_latex` and `to_docx`
            write it for elsewhere.
        """
        facts = [
            ("Model", type(self.spec).__name__),
            ("Method", self.method),
            ("Intervals", f"{100 * level:g} %, equal-tailed"),
            *summaries.data_facts(self.design, self.nobs),
            ("Draws", self._run()),
            ("Seed", f"{self.draws.seed}"),
            ("Divergences", f"{int(np.sum(self.draws.stats['diverging'])):,}"),
            ("Converged", "yes" if self.converged else "no"),
        ]
        table, headers = self.tidy(level, "all"), summaries.POSTERIOR
        return Summary(
            title=summaries.title(self.spec.formula),
            tables=(
                *summaries.tables(self, table, self.names, level, headers),
                summaries.priors(self.stack.describe()),
            ),
            facts=tuple(facts),
            warnings=self.headings,
            notes=self.flags,
        )

    def plot_priors(self, terms: Sequence[str] | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw the posterior of each parameter with its prior over it.

        Parameters
        ----------
        terms : sequence of str, optional
            Which ones; by default the first ten that have a prior of their own.
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Of the first parameter. Its label (`get_label`) says in a sentence what is shown.

        Raises
        ------
        LongsurvError
            For a term that there is not.
        """
        return plots.priors(self, terms, ax)


def summarise(
    samples: Mapping[str, np.ndarray],
    level: float,
    known: Mapping[str, Mixing] | None = None,
) -> pd.DataFrame:
    """Summary rows in the grammar of `Posterior.tidy`.

    Parameters
    ----------
    samples : mapping of str to ndarray, shape (chains, draws)
    level : float
        Of the intervals.
    known : mapping of str to tuple, optional
        What `mixing` says of each, where that has been asked before.
    """
    rows = []
    for term, values in samples.items():
        low, high = np.quantile(values, [0.5 - level / 2.0, 0.5 + level / 2.0])
        mean, sd, positive = values.mean(), values.std(ddof=1), (values > 0).mean()
        mixed = mixing(values) if known is None else known[term]
        rows.append((term, mean, sd, low, high, positive, *mixed))
    return pd.DataFrame(rows, columns=TIDY)


def mixing(values: np.ndarray) -> Mixing:
    """R-hat, the effective sample sizes of bulk and tails and the Monte Carlo standard error of the
    mean, of draws of shape (chains, draws); NaN where all are equal."""
    from arviz_stats.base import array_stats

    if not np.ptp(values) > 0:
        return np.nan, np.nan, np.nan, np.nan
    axes = {"chain_axis": 0, "draw_axis": 1}
    return (
        float(array_stats.rhat(values, **axes)),
        float(array_stats.ess(values, **axes, method="bulk")),
        float(array_stats.ess(values, **axes, method="tail", prob=(0.05, 0.95))),
        float(array_stats.mcse(values, **axes, method="mean")),
    )
