"""What every specification does, whatever its family.

    fit    = estimate(find())
    sample = posterior(draw())

The two in the middle are small: an `Optimum` and `Draws` are a few arrays, which can be stored, and
from which the rest is arithmetic. So a study that was interrupted does not climb or sample again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from longsurv.inference.maximise import Optimum
from longsurv.inference.sample import Draws

if TYPE_CHECKING:
    import pandas as pd

_HELD = "_held"


@runtime_checkable
class Specification[E, P](Protocol):
    """A scientific model of some data: LMM, GLMM, Linear, CoxPH, Hazard, JointModel.

    A frozen dataclass: what it is made from never changes, what follows from that (the design, the
    statistics) is computed when it is first asked for. `how` stands for the options that a family
    has of `fit` and `sample`, which it names one by one, with the same names and defaults wherever
    they occur. Each method takes those that it needs: what the climb needs, `find`, what is said of
    an estimate, `estimate`; `posterior` takes those of `draw` that choose the priors, which must be
    those of the draws.

    E is the Estimate and P the Posterior of the family.
    """

    @property
    def formula(self) -> str:
        """The model in one line."""

    @property
    def design(self) -> object:
        """The arrays of the model: covariates X, shape (n, p), responses or times, shape (n,)."""

    @property
    def fit(self) -> Callable[..., E]:
        """`estimate(find())`: the answer by maximum likelihood."""

    @property
    def sample(self) -> Callable[..., P]:
        """`posterior(draw())`: the answer by Bayes."""

    @property
    def find(self) -> Callable[..., Optimum]:
        """Climb the (penalised, restricted) likelihood.

        Returns
        -------
        Optimum
            With x, shape (d,), and the Hessian in its f free coordinates, shape (f, f). It is as
            the climb left it: of models that cannot be estimated, an error says so.
        """

    @property
    def estimate(self) -> Callable[..., E]:
        """Put an estimate together; nothing is climbed.

        Parameters
        ----------
        optimum : Optimum
            From `find` of this specification.
        """

    @property
    def draw(self) -> Callable[..., Draws]:
        """Draw from the posterior.

        Returns
        -------
        Draws
            With theta, shape (chains, draws, d), on the scale of the priors, and the mode.
        """

    @property
    def posterior(self) -> Callable[..., P]:
        """Put a posterior together; nothing is drawn.

        Parameters
        ----------
        draws : Draws
            From `draw` of this specification, under the same priors.
        """

    @property
    def with_data(self) -> Callable[..., Self]:
        """The same specification of other rows: what it computed from its own is forgotten.

        It takes one table; a joint model the rows of its markers and those of its causes, by name.
        """

    @property
    def with_design(self) -> Callable[..., Self]:
        """The same specification with another design in place of that of its data.

        For data that differ in the responses or times alone, and rows left out, with everything
        else (columns, centres, knots) staying as it is.
        """


def holding[S](spec: S, **made: object) -> S:
    """A copy of a specification that is given what it would make from its data.

    Parameters
    ----------
    spec : Specification
    **made : object
        By name of the property, such as `design`. Everything else is made from that.
    """
    copy = replace(spec)  # type: ignore[type-var]
    for name, value in made.items():
        vars(copy)[name] = value  # where a cached property keeps what it has computed
    vars(copy)[_HELD] = tuple(made)
    return copy


def held(value: object) -> tuple[str, ...]:
    """Names of what a specification was given by `holding`; its fields do not say what it is of."""
    names: tuple[str, ...] = getattr(value, _HELD, ())
    return names


type AnySpecification = Specification[object, object]
"""One of whatever family, where only what all have is asked of it."""


class TableSpecification[E, P](Specification[E, P], Protocol):
    """One of a single table: all but joint models."""

    @property
    def data(self) -> pd.DataFrame:
        """The table."""
