"""A run that is interrupted at any moment and resumed ends as one that was not.

The run of a whole study, by its page, is in tests/robustness/test_environments.py.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from bad_studies import good
from support.lengths import lengths

from longsurv.files import UNFINISHED
from longsurv.interrupts import interruptible
from longsurv.study import Study
from longsurv.study.stages import Stage
from longsurv.study.store import FitStore, fingerprint

STAGES, EACH = 8, 0.02


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study.from_toml(good().write(tmp_path_factory.mktemp("study")))


def stage(number: int) -> Stage:
    """A stage that takes a while to compute numbers, some of which it keeps."""

    def run(bench):
        import time

        import numpy as np

        def compute():
            until = time.perf_counter() + EACH
            while time.perf_counter() < until:
                pass
            return {"numbers": np.random.default_rng(number).normal(size=2000)}

        kept = bench.keep(f"stage {number}", {"number": number}, compute)
        return {**kept, "sum": float(kept["numbers"].sum())}

    return Stage(f"s{number}", f"s{number}", run, lambda study: EACH)


@contextmanager
def interrupt_after(seconds: float) -> Iterator[None]:
    """Ctrl-C so many seconds from here, unless it is over before, as on the command line."""
    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    own = signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with interruptible():
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        signal.signal(signal.SIGINT, own)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@lengths("moments", 4, 20)
def test_interrupted_at_random_moments_and_resumed(study, tmp_path, moments: int) -> None:
    stages = tuple(stage(number) for number in range(STAGES))
    began = time.perf_counter()
    undisturbed = study.run(progress=False, stages=stages, store=FitStore(tmp_path / "whole"))
    took, r, interrupted = time.perf_counter() - began, random.Random(moments), 0
    for k in range(moments):
        folder = tmp_path / f"{k}"
        with interrupt_after(took * (k + r.random()) / moments):
            try:
                study.run(progress=False, stages=stages, store=FitStore(folder))
            except KeyboardInterrupt:
                interrupted += 1
        left = len(list(folder.glob("*.npz")))
        said: list[str] = []
        store = FitStore(folder, tell=said.append)
        resumed = study.run(progress=False, stages=stages, store=store)
        assert (store.reused, store.computed) == (left, STAGES - left)
        assert not resumed.failures and not said and not list(folder.glob(f"{UNFINISHED}*"))
        for key, part in undisturbed.parts.items():
            assert resumed.parts[key]["sum"] == part["sum"]
            np.testing.assert_array_equal(resumed.parts[key]["numbers"], part["numbers"])
    assert interrupted >= moments // 2


def test_several_runs_share_a_folder(tmp_path) -> None:
    """All at once, each entry by each: nobody reads a part of one, nor fails as another writes."""
    keys = [fingerprint(number) for number in range(12)]
    said: list[str] = []
    wrong: list[int] = []

    def run(seed: int) -> None:
        order, store = random.Random(seed).sample(range(12), 12), FitStore(
            tmp_path, fresh=seed % 2 == 0, tell=said.append
        )  # fmt: skip
        for number in order:
            value = np.full(5000, float(number))
            kept = store.get_or_compute(keys[number], f"{number}", lambda value=value: value)
            if not np.array_equal(kept.value, value):
                wrong.append(number)

    runs = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for each in runs:
        each.start()
    for each in runs:
        each.join(timeout=60)
        assert not each.is_alive()
    assert not wrong and not said
    assert sorted(path.stem for path in tmp_path.glob("*.npz")) == sorted(keys)
    assert not list(tmp_path.glob(f"{UNFINISHED}*"))
