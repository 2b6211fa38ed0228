"""Other processes that run a study's later stages ahead of it.

The study runs its stages in order, from the first; helpers begin at the last and work towards it,
and what they find goes into the store. A long stage has pieces, shared in the same way. So the
numbers are those of one process, whoever computes them, and a helper that fails or is killed costs
only its time: what is not in the store when the study gets there, the study computes itself.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    ahead : mapping of (str, str) to Future
        By stage, and piece of it or nothing, the keys of the entries that a helper has made.
    """

    def __init__(
        self, store: FitStore, ahead: Mapping[tuple[str, str], Future[frozenset[str]]]
    ) -> None:
        self._store = store
        self._ahead = ahead
        self._at = ""  # the stage at work

    def take(self, stage: Stage) -> None:
        """Wait for a stage that a helper is at; keep helpers from one that none has begun.

        Parameters
        ----------
        stage : Stage
            The next of the study.
        """
        self._at = stage.key
        self.turn("")

    def turn(self, piece: str) -> None:
        """The same of a piece of the stage at work.

        Parameters
        ----------
        piece : str
            Its name; nothing for the stage as a whole.
        """
        future = self._ahead.get((self._at, piece))
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


class Workers:
    """Processes that work for this one, begun when there is something to do for them.

    Parameters
    ----------
    jobs : int
        Processes at once, this one among them.
    """

    def __init__(self, jobs: int) -> None:
        self.count = jobs - 1
        self._pool: ProcessPoolExecutor | None = None
        self._asked: list[Future[Any]] = []  # any: of whatever was asked for

    def submit[T](self, work: Callable[[], T]) -> Future[T]:
        """Have it done, in the order of asking.

        Parameters
        ----------
        work : callable

        Returns
        -------
        Future
        """
        if self._pool is None:
            self._pool = pool_of(self.count)
        future: Future[T] = self._pool.submit(work)
        self._asked.append(future)
        return future

    def end(self) -> None:
        """End them, whatever they are at."""
        if self._pool is not None:
            # A pool that is killed would fail at futures that were cancelled meanwhile.
            busy = not all(future.done() for future in self._asked)
            self._pool.shutdown(wait=True, kill_workers=busy)
            self._pool, self._asked = None, []


class Shared[T]:
    """Pieces of work that this process and its workers do between them: the workers from the first
    on, as they come, and this one from the last when there are no more. What a worker fails at is
    done here, or fails here.

    Parameters
    ----------
    workers : Workers
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._pieces: list[tuple[Callable[[], T], Future[T] | None]] = []

    def add(self, work: Callable[[], T]) -> None:
        """One more.

        Parameters
        ----------
        work : callable
        """
        ahead = self._workers.submit(work) if self._workers.count > 0 else None
        self._pieces.append((work, ahead))

    def done(self) -> list[T]:
        """What each returns, in the order in which they came."""
        return [self._outcome(*piece) for piece in reversed(self._pieces)][::-1]

    @staticmethod
    def _outcome(work: Callable[[], T], ahead: Future[T] | None) -> T:
        if ahead is None or ahead.cancel():
            return work()
        failure = ahead.exception()
        insist()
        return work() if failure else ahead.result()


_AT_HAND: ContextVar[Workers | None] = ContextVar("workers", default=None)


@contextmanager
def at_hand(jobs: int) -> Iterator[Workers]:
    """Workers for what is done meanwhile; those that are at hand already, if any are.

    Parameters
    ----------
    jobs : int
        Processes at once, this one among them.
    """
    held = _AT_HAND.get()
    if held is not None:
        yield held
        return
    workers = Workers(jobs)
    token = _AT_HAND.set(workers)
    try:
        yield workers
    finally:
        _AT_HAND.reset(token)
        workers.end()


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
    alone = [s for s in stages if s.pieces(study) or not (s.needs or s is stages[0])]
    if jobs < 2 or sum(stage.seconds(study) for stage in alone) < WORTH_A_HELPER:
        yield Helpers(store, {})
        return
    with (
        tempfile.TemporaryDirectory() as meanwhile,
        store.lent(Path(meanwhile)),
        at_hand(jobs) as workers,
    ):
        assert store.folder is not None
        run = partial(_ahead, study, folder=store.folder, fresh=store.fresh, quick=quick)
        ahead = {
            (stage.key, piece): workers.submit(partial(run, stage, work))
            for stage, piece, work in _from_the_end(study, alone, stages[0])
        }
        done = False
        try:
            yield Helpers(store, ahead)
            done = True
        finally:
            if done:  # they write where the store is only lent
                wait([future for future in ahead.values() if not future.cancel()])
            else:
                workers.end()


def _from_the_end(
    study: Plan, alone: Sequence[Stage], first: Stage
) -> Iterator[tuple[Stage, str, Callable[[Bench], object]]]:
    """What helpers may do, in their order: pieces of the first stage, at which the study is, then
    the last stage and those before it. Of each its pieces or the whole, the last one first."""
    backwards = list(reversed(alone))
    for stage in sorted(backwards, key=lambda stage: stage is not first):
        pieces = dict(stage.pieces(study)) or {"": stage.run}
        for piece, work in reversed(pieces.items()):
            yield stage, piece, work


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


def _ahead(
    study: Plan,
    stage: Stage,
    work: Callable[[Bench], object],
    *,
    folder: Path,
    fresh: bool,
    quick: bool,
) -> frozenset[str]:
    """Do a stage or a piece into the store; what fails is left to the study, which says why."""
    store = FitStore(folder, fresh=fresh)
    shown = Progress([(stage.title, stage.seconds(study))], quiet=True)
    shown.begin()
    bench = _Alone(study, store, shown, quick=quick)
    with libraries_silenced(lambda _: None):  # a process that nobody sees
        bench.faults.attempt(stage.title, partial(work, bench))
    return store.made
