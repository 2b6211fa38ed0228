"""Maximum-likelihood answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from longsurv.arguments import check_methods
from longsurv.diagnostics.convergence import DECREMENT_LIMIT, headings
from longsurv.errors import EstimationError, LongsurvError
from longsurv.inference import Optimum
from longsurv.inference.specification import AnySpecification, Specification
from longsurv.results import summaries
from longsurv.results.contrasts import ContrastLike, contrast_matrix
from longsurv.results.log_scale import Logarithm, coefficient_base, ratios
from longsurv.results.options import Component
from longsurv.results.plots import Plotted
from longsurv.results.reference import (
    Reference,
    chi2_p_value,
    combination_variances,
    degrees,
    estimable,
    t_p_value,
    t_quantile,
)
from longsurv.tables.result import Result
from longsurv.tables.summary import Summary
from longsurv.words import verb

if TYPE_CHECKING:
    from longsurv.diagnostics import Verdict

TIDY = ["term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"]


def t_rows(
    labels: list[str], estimate: np.ndarray, std_error: np.ndarray, df: np.ndarray, level: float
) -> pd.DataFrame:
    """Rows in the grammar of `Estimate.tidy`, with Student's t, normal where df is infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(std_error > 0, estimate / std_error, np.nan)
    width = np.array([t_quantile(level, d) for d in df]) * std_error
    columns = [
        labels, estimate, std_error, statistic, df,
        [t_p_value(s, d) for s, d in zip(statistic, df, strict=True)],
        estimate - width, estimate + width,
    ]  # fmt: skip
    return pd.DataFrame(dict(zip(TIDY, columns, strict=True)))


@dataclass(frozen=True, repr=False, eq=False)
class Estimate(Plotted, Result):
    """A fitted model.

    Attributes
    ----------
    engine : "ml"
        How every answer of this kind is told from a posterior's, whose engine is "bayes".
    spec : the model specification that was fitted
    design : the arrays it was fitted to
    names : tuple of str
        Coefficients.
    coefficients : ndarray, shape (p,)
        Where the climb ended, also along directions the data do not determine; `params` and `tidy`
        have NaN there.
    reference : Reference
        Covariance and reference distribution of the coefficients.
    llf : float
        Log-likelihood at the estimate (restricted for REML, partial for Cox).
    nobs : int
        Observations used.
    n_params : int
        Parameters estimated, for AIC and BIC.
    optimum : Optimum
        The optimiser's record.
    method : str
        As in "REML" or "partial likelihood, Efron ties".
    flags : tuple of str
        Plain sentences about what a reader must know: boundaries, dropped columns, excluded rows.
    """

    engine: ClassVar[Literal["ml"]] = "ml"

    spec: AnySpecification
    design: object
    names: tuple[str, ...]
    coefficients: np.ndarray
    reference: Reference
    llf: float
    nobs: int
    n_params: int
    optimum: Optimum
    method: str
    flags: tuple[str, ...]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_methods(cls)

    def again[S](self, spec: Specification[S, object]) -> S:
        """Another specification of the same family, fitted as this one was.

        Parameters
        ----------
        spec : specification
            As `self.spec.with_data(...)`.

        Raises
        ------
        LongsurvError
            For anything else.
        """
        return self._of_family(spec).fit()

    def _of_family[S](self, spec: S) -> S:
        family = type(self.spec)
        if not isinstance(spec, family):
            raise LongsurvError(
                f"spec is a specification of the same family, {family.__name__}, not "
                f"{type(spec).__name__}"
            )
        return spec

    @property
    def params(self) -> pd.Series:
        """Coefficients by name; NaN where the data do not determine one."""
        values = np.where(self._determined, self.coefficients, np.nan)
        return pd.Series(values, index=list(self.names), name="estimate")

    @property
    def _determined(self) -> np.ndarray:
        return estimable(self.reference, np.eye(len(self.names)))

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Coefficients that the data do not determine: they have no estimate."""
        if self.reference.flat is None:
            return ()
        return tuple(n for n, known in zip(self.names, self._determined, strict=True) if not known)

    @property
    def bse(self) -> pd.Series:
        """Standard errors by name; NaN where the data do not determine a coefficient."""
        values = np.where(self._determined, np.sqrt(np.diag(self.reference.cov)), np.nan)
        return pd.Series(values, index=list(self.names), name="std_error")

    @property
    def tvalues(self) -> pd.Series:
        """Statistics of the coefficients, as in `tidy`: t, z or, of a profile, its signed root."""
        return self._column("statistic")

    @property
    def pvalues(self) -> pd.Series:
        """The p value of each coefficient being 0, as in `tidy`; NaN where it is not determined."""
        return self._column("p_value")

    @property
    def interval_method(self) -> str:
        """What the intervals rest on, in words."""
        return self.reference.method

    def _column(self, name: str) -> pd.Series:
        """A column of `tidy`, of the coefficients."""
        return self.tidy(component="all").set_index("term")[name].loc[list(self.names)]

    def cov_params(self) -> pd.DataFrame:
        """Covariance of the coefficients, shape (p, p); NaN where one is not determined."""
        known = self._determined
        cov = np.where(np.outer(known, known), self.reference.cov, np.nan)
        return pd.DataFrame(cov, index=list(self.names), columns=list(self.names))

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Wald intervals of the coefficients: columns conf_low, conf_high.

        Parameters
        ----------
        level : float
            Of the two-sided intervals.

        Returns
        -------
        DataFrame
            Indexed by term; NaN where the data do not determine a coefficient.
        """
        return self.tidy(level).set_index("term")[["conf_low", "conf_high"]]

    @property
    def aic(self) -> float:
        """Akaike's criterion, -2 llf + 2 n_params."""
        return -2.0 * self.llf + 2.0 * self.n_params

    @property
    def bic(self) -> float:
        """Bayesian criterion, -2 llf + log(nobs) n_params."""
        return -2.0 * self.llf + float(np.log(self.nobs)) * self.n_params

    @property
    def arrived(self) -> bool:
        """Whether the climb ended at a maximum, if only one along the directions that the data
        determine: what has an estimate is one."""
        level = self.optimum.newton_decrement < DECREMENT_LIMIT
        return self.optimum.converged or (level and bool(self.undetermined))

    @property
    def converged(self) -> bool:
        """Whether the optimiser reached a maximum, and the data determine every coefficient."""
        return self.optimum.converged and not self.undetermined

    @property
    def headings(self) -> tuple[str, ...]:
        """What is wrong with the answer, to stand before its numbers; nothing if nothing is."""
        return headings(self.optimum, self.undetermined, arrived=self.arrived)

    def tidy(
        self,
        level: float = 0.95,
        component: Component = "fixed",
        *,
        exponentiate: bool | Logarithm = False,
    ) -> pd.DataFrame:
        """One row a term.

        Parameters
        ----------
        level : float
            Of the two-sided intervals.
        component : {"fixed", "variance", "all"}
            Coefficients, variance parameters, or both.
        exponentiate : bool or {"log", "log2", "log10"}
            Ratios in place of differences on a log scale: estimate and limits are exponentiated,
            std_error stays that of the logarithm. True needs a model whose coefficients are
            logarithms (of odds, rates, hazards, or of a response that the formula takes the
            logarithm of); name the logarithm if the column holds values already transformed.

        Returns
        -------
        DataFrame
            term, estimate, std_error, statistic, df, p_value, conf_low, conf_high. Its `attrs`
            have "converged" and "flags".
        """
        if exponentiate:
            base = coefficient_base(self.design, component, exponentiate)
            return ratios(self.tidy(level), base)
        parts = []
        if component != "variance":
            parts.append(self._rows(np.eye(len(self.names)), list(self.names), level))
        if component != "fixed":
            parts.append(self.variance_table(level))
        parts = [part for part in parts if len(part)]
        if len(parts) == 1:
            return self._marked(parts[0])
        table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=TIDY)
        return self._marked(table)

    def _marked(self, table: pd.DataFrame, more: tuple[str, ...] = ()) -> pd.DataFrame:
        """The table, with what a reader of its numbers must know among its attributes."""
        found = dict.fromkeys((*self.headings, *more, *self.flags))
        table.attrs |= {"converged": self.converged, "flags": tuple(found)}
        return table

    def variance_table(self, level: float = 0.95) -> pd.DataFrame:
        """Variance parameters in the grammar of `tidy`; none by default.

        Parameters
        ----------
        level : float
            Of the two-sided intervals.

        Returns
        -------
        DataFrame
        """
        return pd.DataFrame(columns=TIDY)

    def contrast(self, of: ContrastLike, level: float = 0.95) -> pd.DataFrame:
        """Linear combinations of coefficients, one row each, in the grammar of `tidy`.

        Parameters
        ----------
        of : str, mapping, array or DataFrame
            A coefficient's name; weights by name, as ``{"year": 1, "year:drug[T.active]": 1}``; an
            array of shape (p,) or (r, p); or a DataFrame with labelled rows.
        level : float
        """
        L, labels = contrast_matrix(of, self.names)
        known = estimable(self.reference, L)
        lost = [name for name, there in zip(labels, known, strict=True) if not there]
        more = (f"Not determined by the data: {', '.join(lost)}.",) if lost else ()
        return self._marked(self._rows(L, labels, level), more)

    def test(self, of: ContrastLike) -> pd.DataFrame:
        """Joint F test that all the combinations are zero: statistic, df_num, df_den, p_value.

        Parameters
        ----------
        of : str, mapping, array or DataFrame
            Coefficients or combinations of them, as for `contrast`.

        Returns
        -------
        DataFrame
            One row; method says how df_den was found.

        Raises
        ------
        EstimationError
            If the data do not determine one of the combinations.
        """
        from scipy.special import fdtrc

        L, labels = contrast_matrix(of, self.names)
        if not L.any():
            raise LongsurvError("there is nothing to test: all weights are 0")
        if not estimable(self.reference, L).all():
            lost = [
                n
                for n, known in zip(labels, estimable(self.reference, L), strict=True)
                if not known
            ]
            raise EstimationError(
                f"the data do not determine {', '.join(lost)}, so there is nothing to test; "
                "fit.flags says why"
            )
        statistic, df_num, df_den = self.reference.f_test(self.coefficients, L)
        if np.isinf(df_den):
            p = float(chi2_p_value(statistic * df_num, df_num))
        else:
            p = float(fdtrc(df_num, df_den, statistic))
        row = {"term": " = ".join([*labels, "0"]), "statistic": statistic, "df_num": df_num}
        return pd.DataFrame(
            [row | {"df_den": df_den, "p_value": p, "method": self.reference.method}]
        )

    def _rows(self, L: np.ndarray, labels: list[str], level: float) -> pd.DataFrame:
        known = estimable(self.reference, L)
        estimate = np.where(known, L @ self.coefficients, np.nan)
        variance = combination_variances(self.reference, L)
        std_error = np.where(known, np.sqrt(variance), np.nan)
        return t_rows(labels, estimate, std_error, degrees(self.reference, L), level)

    def glance(self) -> pd.DataFrame:
        """The fit in one row; its `attrs` are those of `tidy`."""
        table = pd.DataFrame(
            [
                {
                    "nobs": self.nobs,
                    "llf": self.llf,
                    "aic": self.aic,
                    "bic": self.bic,
                    "method": self.method,
                    "df_method": self.reference.method,
                    "converged": self.converged,
                    "evaluations": self.optimum.evaluations,
                    "undetermined": ", ".join(self.undetermined),
                }
            ]
        )
        return self._marked(table)

    def diagnose(self) -> Verdict:
        """Whether the optimiser's answer can be trusted: a `longsurv.diagnostics.Verdict`."""
        from longsurv.diagnostics.convergence import of_estimate

        return of_estimate(self.optimum, self.flags, self.undetermined, arrived=self.arrived)

    def __repr__(self) -> str:
        name = f"{type(self.spec).__name__}: {self.spec.formula}"
        head = f"{self.method}; {self.nobs} {verb(self.nobs, 'observation', 'observations')}"
        lines = [name, *self.headings, f"{head}; log-likelihood {self.llf:.4f}"]
        lines += ["95 % intervals", ""]
        lines.append(summaries.text_table(self.tidy(component="all")))
        lines += [f"Note: {flag}" for flag in self.flags]
        return "\n".join(lines)

    def summary(self, level: float = 0.95) -> Summary:
        """The fit as a reader sees it: what it is of, coefficients, variances and notes.

        Parameters
        ----------
        level : float
            Of the intervals, between 0 and 1.

        Returns
        -------
        Summary
            Prints as text and shows itself in a notebook; `to_markdown`, `to_latex` and `to_docx`
            write it for elsewhere.
        """
        facts = [
            ("Model", type(self.spec).__name__),
            ("Method", self.method),
            ("Intervals", f"{100 * level:g} %, {self.interval_method}"),
            *summaries.data_facts(self.design, self.nobs),
            ("Parameters", f"{self.n_params:,}"),
            ("Log-likelihood", f"{self.llf:,.4f}"),
            ("AIC", f"{self.aic:,.2f}"),
            ("BIC", f"{self.bic:,.2f}"),
            ("Converged", "yes" if self.converged else "no"),
        ]
        return Summary(
            title=summaries.title(self.spec.formula),
            tables=summaries.tables(self, self.tidy(level, "all"), self.names, level),
            facts=tuple(facts),
            warnings=self.headings,
            notes=self.flags,
        )
