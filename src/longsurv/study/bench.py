"""What a stage of a run is given to work with."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd

from longsurv.faults import Faults
from longsurv.inference.specification import Specification
from longsurv.study.model_result import ModelResult, Parts
from longsurv.study.plan import model_seed
from longsurv.study.refit import Options, stored_fit, stored_sample
from longsurv.study.store import FitStore, Kept, environment, fingerprint

if TYPE_CHECKING:
    from longsurv.results import Estimate, Posterior
    from longsurv.study.plan import Plan
    from longsurv.study.progress import Progress


type AnswerSpecification = Specification[Estimate, Posterior]
type Family = Callable[..., AnswerSpecification]

HOW = {"ml": "maximum likelihood", "bayes": "Bayes"}


def alone(piece: str) -> None:
    """Nobody else is at a piece of a stage.

    Parameters
    ----------
    piece : str
    """


class Bench:
    """The study at work: fits by way of the store, progress, and what earlier stages found.

    Attributes
    ----------
    study : Study
    quick : bool
        Whether the run is a quick one.
    parts : mapping of str to object
        What the stages before this one returned, by key.
    faults : Faults
        The record of what failed.
    turn : callable
        Takes the name of a piece of the stage at work, which is to be done next: where another
        process is at it, waits for that.
    """

    def __init__(
        self,
        study: Plan,
        store: FitStore,
        progress: Progress,
        *,
        quick: bool = False,
        faults: Faults | None = None,
        turn: Callable[[str], None] = alone,
    ) -> None:
        self.study = study
        self.quick = quick
        self.faults = Faults() if faults is None else faults
        self._parts: dict[str, Any] = {}  # any: as `Parts`
        self._store = store
        self._progress = progress
        self._computed = store.computed
        self.turn = turn

    @property
    def parts(self) -> Parts:
        """What the stages before this one returned, by key."""
        return MappingProxyType(self._parts)

    def fit[E](self, spec: Specification[E, object], options: Options | None = None) -> E:
        """`spec.fit(**options)`, or that answer from the store.

        Parameters
        ----------
        spec : Specification
        options : mapping of str to object, optional
            Arguments of `fit`.

        Returns
        -------
        Estimate
        """
        return stored_fit(self._store, spec, options).value

    def sample[P](self, spec: Specification[object, P], options: Options | None = None) -> P:
        """`spec.sample` with the study's draws and chains, and a seed that depends on the model.

        Parameters
        ----------
        spec : a model specification
        options : mapping of str to object, optional
            Other arguments of `sample`, as {"priors": ...}; they go before the study's.
        """
        return stored_sample(self._store, spec, self._sampling(spec.formula, options)).value

    def keep[T](self, title: str, inputs: object, compute: Callable[[], T]) -> T:
        """What `compute` returns, from the store where the inputs are the same.

        Parameters
        ----------
        title : str
            What it is: tells it from other things made of the same inputs.
        inputs : text, numbers, tables, model specifications and sequences or mappings of them
            Everything the result depends on, but for the study's settings, which are added here.
        compute : callable
            Returns tables, arrays, numbers or text, or tuples and dicts of these.
        """
        key = fingerprint("keep", title, inputs, self._settings(), environment())
        return self._store.get_or_compute(key, title, compute).value

    def _settings(self) -> object:
        """All that a study file can say, so that no stage can forget a setting that it reads."""
        study, cohort = self.study, self.study.cohort
        markers = list(cohort.markers.values())
        return [cohort.schema, markers, cohort.randomised, study.models, study.sampling]

    def model(self, name: str, formula: str, data: pd.DataFrame, family: Family) -> ModelResult:
        """One model by both engines; what one of them cannot do is a reason, and no error.

        Parameters
        ----------
        name, formula : str
        data : DataFrame
            The rows it is given.
        family : class of the specification, such as LMM

        Returns
        -------
        ModelResult
        """
        return self.answers(name, family(formula, data=data), data)

    def answers(self, name: str, spec: AnswerSpecification, data: pd.DataFrame) -> ModelResult:
        """A specification by both engines, as `model` does; `data` are the rows it was given.

        Parameters
        ----------
        name : str
        spec : Specification
        data : DataFrame
            The rows it was given.

        Returns
        -------
        ModelResult
        """
        reasons: dict[str, str] = {}
        seconds: dict[str, float] = {}

        def tried[T](engine: str, run: Callable[[], Kept[T]]) -> T | None:
            began = time.perf_counter()
            kept, reason = self.faults.attempt(f"{name}, {HOW[engine]}", run)
            seconds[engine] = time.perf_counter() - began if kept is None else kept.seconds
            if kept is None:
                reasons[engine] = reason
            return None if kept is None else kept.value

        return ModelResult(
            name,
            spec.formula,
            data,
            tried("ml", lambda: stored_fit(self._store, spec)),
            tried("bayes", lambda: stored_sample(self._store, spec, self._sampling(name))),
            MappingProxyType(reasons),
            MappingProxyType(seconds),
        )

    def step(self, label: str, share: float) -> None:
        """Say that a part of the stage is done: which, and what share of the stage it was.

        Parameters
        ----------
        label : str
        share : float
            Of the stage, between 0 and 1.
        """
        reused = self._store.computed == self._computed
        self._computed = self._store.computed
        self._progress.step(label, share, reused=reused)

    def finish(self, key: str, value: object) -> None:
        """Hand what a stage returned to the later ones.

        Parameters
        ----------
        key : str
            Of the stage.
        value : object
            What it found.
        """
        self._parts[key] = value

    def _sampling(self, name: str, options: Options | None = None) -> Options:
        sampling = self.study.sampling
        usual = {
            "draws": sampling.draws,
            "chains": sampling.chains,
            "seed": model_seed(sampling.seed, name),
        }
        return usual | dict(options or {})
