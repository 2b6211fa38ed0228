"""The beta-binomial posterior of a two-by-two table, by quadrature rather than simulation.

Independent Beta(a, b) priors on the two risks give independent Beta posteriors. The distribution
function of their difference, ratio or odds ratio is then one integral,

    P(effect <= e) = E[ F(the group's risk at which the effect is e) ],

over the posterior of the reference's risk, F being the group's distribution function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from longsurv.arguments import check_methods, checked
from longsurv.errors import LongsurvError
from longsurv.estimands.counts import Counts
from longsurv.figures.checks import densities
from longsurv.figures.place import described, place_of
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Effect = Literal["risk difference", "risk ratio", "odds ratio"]

PRIORS: dict[str, tuple[float, float]] = {"Jeffreys": (0.5, 0.5), "uniform": (1.0, 1.0)}
"""Beta priors of a risk by name."""

_NODES = 2000
_TAIL = 1e-17  # probability left out at either end of the integral


@check_methods
@dataclass(frozen=True)
class BetaBinomial(Readable):
    """Posterior of two risks and of their effects.

    Parameters
    ----------
    counts : Counts
    prior : tuple of float
        a and b of the Beta prior of both risks.

    Raises
    ------
    LongsurvError
        If a or b is not above zero.
    """

    read_as: ClassVar[tuple[str, ...]] = ("table",)

    counts: Counts
    prior: tuple[float, float] = (0.5, 0.5)

    def __post_init__(self) -> None:
        if len(self.prior) != 2 or not all(value > 0 for value in self.prior):
            raise LongsurvError(f"a Beta prior has two numbers above 0, not {self.prior}")

    @property
    def shapes(self) -> tuple[float, float]:
        """Shapes of the Beta posterior of the group's risk."""
        return self._shapes(self.counts.events, self.counts.n)

    @property
    def reference_shapes(self) -> tuple[float, float]:
        """Shapes of the Beta posterior of the reference's risk."""
        return self._shapes(self.counts.reference_events, self.counts.reference_n)

    def probability_below(
        self, value: float, effect: Annotated[Effect, None] = "risk difference"
    ) -> float:
        """Return the posterior probability that an effect is below a value.

        Parameters
        ----------
        value : float
            Of the group's risk minus the reference's, or of their ratio or odds ratio.
        effect : {"risk difference", "risk ratio", "odds ratio"}
        """
        if effect == "risk difference":
            if not -1 < value < 1:
                return float(value > 0)
            return self._difference_below(value)
        if effect not in ("risk ratio", "odds ratio"):
            expected = "a risk difference, risk ratio or odds ratio"
            raise LongsurvError(f"effect must be {expected}, not {effect!r}")
        if value <= 0:
            return 0.0
        if effect == "risk ratio":
            return self._ratio_below(value)
        return self._odds_ratio_below(value)

    def quantile(self, p: float, effect: Annotated[Effect, None] = "risk difference") -> float:
        """Return the value an effect is below with probability p.

        Parameters
        ----------
        p : float
            Between 0 and 1.
        effect : {"risk difference", "risk ratio", "odds ratio"}

        Returns
        -------
        float
        """
        if not 0 < p < 1:
            raise LongsurvError(f"a probability must be between 0 and 1, not {p}")
        if effect == "risk difference":
            scale, low, high = (lambda x: x), -1.0, 1.0
        else:
            scale, low, high = np.exp, -1.0, 1.0
            while self.probability_below(float(np.exp(low)), effect) > p:
                low *= 2
            while self.probability_below(float(np.exp(high)), effect) < p:
                high *= 2

        def excess(x: float) -> float:
            return self.probability_below(float(scale(x)), effect) - p

        return float(scale(optimize.brentq(excess, low, high, xtol=1e-12, rtol=1e-12)))

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the posterior densities of both risks.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; a new figure otherwise.

        Returns
        -------
        Axes
            Its label says in words what it shows.
        """
        from scipy import stats

        x = np.linspace(0.0, 1.0, 401)[1:-1]
        shapes = {"group": self.shapes, "reference": self.reference_shapes}
        drawn = densities(
            x, {name: stats.beta.pdf(x, *ab) for name, ab in shapes.items()}, xlabel="Risk",
            ax=place_of(ax),
        )  # fmt: skip
        mean = {name: a / (a + b) for name, (a, b) in shapes.items()}
        return described(
            drawn,
            f"Posterior densities of two risks, with means {mean['group']:.3g} in the group and"
            f" {mean['reference']:.3g} in the reference.",
        )

    def table(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return the posterior of the risks and of every effect, a row each.

        Parameters
        ----------
        level : float
            Of the equal-tailed intervals.

        Returns
        -------
        DataFrame
            quantity, estimate (the median), std_error (posterior standard deviation; NaN where
            there is none in closed form), conf_low, conf_high, prob_benefit (that the effect is
            below none), and for the difference prob_benefit_1, prob_benefit_5 (below -1 %, -5 %).
        """
        tails = ((1 - level) / 2, (1 + level) / 2)
        rows: list[dict[str, object]] = []
        for quantity, shapes in (("risk", self.shapes), ("reference risk", self.reference_shapes)):
            risk = stats.beta(*shapes)
            low, middle, high = risk.ppf([tails[0], 0.5, tails[1]])
            rows.append(
                {
                    "quantity": quantity, "estimate": float(middle), "std_error": float(risk.std()),
                    "conf_low": float(low), "conf_high": float(high),
                }
            )  # fmt: skip
        benefit = self.probability_below(0.0)
        effects: tuple[Effect, ...] = ("risk difference", "risk ratio", "odds ratio")
        for effect in effects:
            row: dict[str, object] = {
                "quantity": effect,
                "estimate": self.quantile(0.5, effect),
                "conf_low": self.quantile(tails[0], effect),
                "conf_high": self.quantile(tails[1], effect),
                "prob_benefit": benefit,
            }
            if effect == "risk difference":
                variances = stats.beta(*self.shapes).var(), stats.beta(*self.reference_shapes).var()
                row["std_error"] = float(np.sqrt(sum(variances)))
                row["prob_benefit_1"] = self.probability_below(-0.01)
                row["prob_benefit_5"] = self.probability_below(-0.05)
            rows.append(row)
        columns = [
            "quantity", "estimate", "std_error", "conf_low", "conf_high",
            "prob_benefit", "prob_benefit_1", "prob_benefit_5",
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)

    def _shapes(self, events: int, n: int) -> tuple[float, float]:
        return events + self.prior[0], n - events + self.prior[1]

    def _difference_below(self, d: float) -> float:
        """P(risk - reference risk < d), the group's risk staying inside (0, 1).

        Outside the interval of integration the inner probability is exactly 0 or 1.
        """
        grid = _grid(self.reference_shapes, max(0.0, -d), min(1.0, 1.0 - d))
        inside = grid.weights @ _beta_cdf(self.shapes, grid.value + d, grid.complement - d)
        a, b = self.reference_shapes
        return float(inside + (special.betainc(b, a, d) if d > 0 else 0.0))

    def _ratio_below(self, ratio: float) -> float:
        grid = _grid(self.reference_shapes, 0.0, min(1.0, 1.0 / ratio))
        p = grid.value * ratio
        inside = grid.weights @ _beta_cdf(self.shapes, p, 1 - p)
        a, b = self.reference_shapes
        return float(inside + (special.betainc(b, a, 1 - 1 / ratio) if ratio > 1 else 0.0))

    def _odds_ratio_below(self, ratio: float) -> float:
        grid = _grid(self.reference_shapes, 0.0, 1.0)
        odds = np.log(grid.value) - np.log(grid.complement) + np.log(ratio)
        inside = grid.weights @ _beta_cdf(self.shapes, special.expit(odds), special.expit(-odds))
        return float(inside)


@checked
def probability_lower(counts: Counts, prior: tuple[float, float] = (0.5, 0.5)) -> float:
    """Return P(the group's risk < the reference's), under independent Beta priors."""
    return BetaBinomial(counts, prior).probability_below(0.0)


@dataclass(frozen=True)
class _Grid:
    """Nodes and weights that integrate a function against a Beta density over part of (0, 1)."""

    value: np.ndarray
    complement: np.ndarray  # 1 - value, exact near 1
    weights: np.ndarray


def _grid(shapes: tuple[float, float], low: float, high: float) -> _Grid:
    """Trapezoidal rule after value = low + (high - low) expit(x).

    The substitution turns the powers at either end into exponential decay, for which the
    trapezoidal rule converges geometrically (Trefethen and Weideman 2014, SIAM Rev 56:385-458).
    """
    a, b = shapes
    low = max(low, float(special.betaincinv(a, b, _TAIL)))
    high = min(high, 1 - float(special.betaincinv(b, a, _TAIL)))
    if low >= high:
        nothing = np.full(1, 0.5)
        return _Grid(nothing, nothing, np.zeros(1))
    x, step = np.linspace(-40 / min(1, a), 40 / min(1, b), _NODES, retstep=True)
    width = high - low
    value = low + width * special.expit(x)
    complement = (1 - high) + width * special.expit(-x)
    log_density = (
        (a - 1) * np.log(value) + (b - 1) * np.log(complement) - special.betaln(a, b)
        + np.log(width) + special.log_expit(x) + special.log_expit(-x)
    )  # fmt: skip
    return _Grid(value, complement, step * np.exp(log_density))


def _beta_cdf(shapes: tuple[float, float], p: np.ndarray, complement: np.ndarray) -> np.ndarray:
    """Distribution function of a Beta at p, exact where p is near 1."""
    a, b = shapes
    p, complement = np.clip(p, 0, 1), np.clip(complement, 0, 1)
    below, found = p < 0.5, np.empty_like(p)
    found[below] = special.betainc(a, b, p[below])
    found[~below] = 1 - special.betainc(b, a, complement[~below])
    return found
