"""Other processes that run a study's later stages ahead of it.

The study runs its stages in order, from the first; helpers begin at the last and work towards it,
and what they find goes into the store. So the numbers are those of one process, whoever computes
them, and a helper that fails or is killed costs only its time: what is not in the store when the
study gets there, the study computes itself.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from longsurv.errors import LongsurvError
from longsurv.faults import libraries_silenced
from longsurv.interrupts import insist
from longsurv.study.bench import Bench
from longsurv.study.model_result import Parts
from longsurv.study.plan import Plan
from longsurv.study.progress import Progress
from longsurv.study.store import FitStore

if TYPE_CHECKING:
    from joblib.externals.loky import ProcessPoolExecutor

    from longsurv.study.stages import Stage

ASK_EVERY = 0.5
"""Seconds after which a helper asks again whether its study is still there."""

WORTH_A_HELPER = 4.0
"""Seconds of work that a process has to take over; to begin, it loads libraries for about two."""


class Helpers:
    """The stages under way in other processes.

    Parameters
    ----------
    store : FitStore
        Of the study, which the helpers write to.
    ahead : mapping of str to Future
        By stage, the keys of the entries that a helper has made.
    """

    def __init__(self, store: FitStore, ahead: Mapping[str, Future[frozenset[str]]]) -> None:
        self._store = store
        self._ahead = ahead

    def take(self, stage: Stage) -> None:
        """Wait for a stage that a helper is at; keep helpers from one that none has begun.

        Parameters
        ----------
        stage : Stage
            The next of the study.
        """
        future = self._ahead.get(stage.key)
        if future is None or future.cancel():
            return
        failure = future.exception()  # of a helper that was killed: the study does it itself
        insist()
        if failure is None:
            self._store.adopt(future.result())


def processes(n_jobs: int) -> int:
    """Processes that `n_jobs` stands for.

    Parameters
    ----------
    n_jobs : int
        How many; -1 for one a processor.
    """
    if n_jobs != -1:
        return n_jobs
    from joblib import cpu_count

    return int(cpu_count())


@contextmanager
def helping(
    study: Plan, store: FitStore, stages: Sequence[Stage], jobs: int, *, quick: bool
) -> Iterator[Helpers]:
    """Helpers for as long as a study runs; none where they would not save time.

    Parameters
    ----------
    study : Study
    store : FitStore
        Of the study; one without a folder is given a temporary one meanwhile.
    stages : sequence of Stage
        Of the run, in order.
    jobs : int
        Processes at once, the study's own among them.
    quick : bool
        Whether the run is a quick one.
    """
    alone = [stage for stage in reversed(stages) if not stage.needs]
    alone = [stage for stage in alone if stage is not stages[0]]
    if jobs < 2 or sum(stage.seconds(study) for stage in alone) < WORTH_A_HELPER:
        yield Helpers(store, {})
        return
    with tempfile.TemporaryDirectory() as meanwhile, store.lent(Path(meanwhile)):
        workers = min(jobs - 1, len(alone))
        assert store.folder is not None
        pool = pool_of(workers)
        try:
            run = partial(_ahead, study, folder=store.folder, fresh=store.fresh, quick=quick)
            yield Helpers(store, {stage.key: pool.submit(run, stage) for stage in alone})
        finally:
            pool.shutdown(wait=True, kill_workers=True)


class _Alone(Bench):
    """A bench of a stage that stands alone: what came before is nowhere to be read, so that nothing
    made without it can be stored in the place of what is made with it."""

    @property
    def parts(self) -> Parts:
        """Not here."""
        raise LongsurvError("a stage that reads what others returned is marked `needs`")


def pool_of(workers: int) -> ProcessPoolExecutor:
    """Processes that end with the one that asks for them, however that ends.

    Parameters
    ----------
    workers : int
    """
    from joblib.externals.loky import ProcessPoolExecutor

    return ProcessPoolExecutor(workers, initializer=_begin, initargs=(os.getpid(),), env={})


def _begin(study: int) -> None:
    """Ctrl-C is for the study, which ends its helpers; one that is killed cannot, and without it
    they would wait for work for ever, with its output held open."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":  # where nobody adopts what is left behind, so that it cannot tell
        threading.Thread(target=_end_with, args=(study,), daemon=True).start()


def _end_with(study: int) -> None:
    """End this process soon after the one that started it."""
    while os.getppid() == study:
        time.sleep(ASK_EVERY)
    os._exit(1)


def _ahead(study: Plan, stage: Stage, *, folder: Path, fresh: bool, quick: bool) -> frozenset[str]:
    """Run one stage into the store; what fails is left to the study, which says why."""
    store = FitStore(folder, fresh=fresh)
    shown = Progress([(stage.title, stage.seconds(study))], quiet=True)
    shown.begin()
    bench = _Alone(study, store, shown, quick=quick)
    with libraries_silenced(lambda _: None):  # a process that nobody sees
        bench.faults.attempt(stage.title, partial(stage.run, bench))
    return store.made
