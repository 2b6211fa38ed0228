"""What every specification does, whatever its family.

    fit    = estimate(find())
    sample = posterior(draw())

The two in the middle are small: an `Optimum` and `Draws` are a few arrays, which can be stored, and
from which the rest is arithmetic. So a study that was interrupted does not climb or sample again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, Self, runtime_checkable

from longsurv.inference.maximise import Optimum
from longsurv.inference.sample import Draws


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
    def design(self) -> Any:
        """The arrays of the model: covariates X, shape (n, p), responses or times, shape (n,)."""

    def fit(self, *args: Any, **how: Any) -> E:
        """`estimate(find())`: the answer by maximum likelihood."""

    def sample(self, *args: Any, **how: Any) -> P:
        """`posterior(draw())`: the answer by Bayes."""

    def find(self, *args: Any, **how: Any) -> Optimum:
        """Climb the (penalised, restricted) likelihood.

        Returns
        -------
        Optimum
            With x, shape (d,), and the Hessian in its f free coordinates, shape (f, f). It is as
            the climb left it: of models that cannot be estimated, an error says so.
        """

    def estimate(self, optimum: Optimum, *args: Any, **how: Any) -> E:
        """Put an estimate together; nothing is climbed.

        Parameters
        ----------
        optimum : Optimum
            From `find` of this specification.
        """

    def draw(self, *args: Any, **how: Any) -> Draws:
        """Draw from the posterior.

        Returns
        -------
        Draws
            With theta, shape (chains, draws, d), on the scale of the priors, and the mode.
        """

    def posterior(self, draws: Draws, *args: Any, **how: Any) -> P:
        """Put a posterior together; nothing is drawn.

        Parameters
        ----------
        draws : Draws
            From `draw` of this specification, under the same priors.
        """

    def with_data(self, *args: Any, **how: Any) -> Self:
        """The same specification of other rows: what it computed from its own is forgotten.

        It takes one table; a joint model the rows of its markers and those of its causes, by name.
        """

    def with_design(self, design: Any, *args: Any, **how: Any) -> Self:
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
    return copy


type AnySpecification = Specification[Any, Any]
"""One of whatever family, where only what all have is asked of it."""
