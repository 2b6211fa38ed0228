"""Stages in several processes: the numbers of one, whatever happens to the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.cohort.settings import SamplingSettings
from longsurv.errors import LongsurvError
from longsurv.study import Study, helpers
from longsurv.study.stages import STAGES, Stage
from longsurv.study.store import FitStore


@pytest.fixture(scope="module")
def study() -> Study:
    whole = Study.from_toml(ls.example_path("ivig_sepsis") / "study.toml")
    cohort, names = whole.cohort, ["il6", "crp"]
    values = cohort.measurements
    values = values[values["marker"].isin(names)].drop(columns="phase")
    markers = [cohort.markers[name] for name in names]
    small = ls.Cohort(cohort.patients, values, cohort.schema, markers, reconstructed=True)
    few = SamplingSettings(draws=60, chains=2, seed=1)
    return Study(small, replace(whole.models, joint=()), few)


def of(key, run, seconds=60.0):
    return Stage(key, key, run, lambda study: seconds)


def first(bench):
    return "first"


def where(begun=None):
    """A stage that finds the process it ran in, by way of the store; `begun`: a file to leave."""

    def run(bench):
        import os

        if begun:
            begun.touch()
        return bench.keep("where", {}, lambda: {"process": os.getpid()})

    return run


def until(there):
    """A stage that waits for a file."""

    def run(bench):
        import time

        for _ in range(1200):
            if there.exists():
                return "there"
            time.sleep(0.05)
        raise AssertionError(f"{there} never came")

    return run


def test_one_process_and_two_give_the_same_bits(study, tmp_path, monkeypatch):
    monkeypatch.setattr(helpers, "WORTH_A_HELPER", 0.0)
    chosen = tuple(stage for stage in STAGES if stage.quick)
    stores = [FitStore(tmp_path / "one"), FitStore(tmp_path / "two")]
    one, two = (
        study.run(progress=False, stages=chosen, store=store, n_jobs=jobs)
        for jobs, store in zip((1, 2), stores, strict=True)
    )
    assert one.failures == two.failures
    assert (one.computed, one.reused) == (two.computed, two.reused)
    entries = [{file.name for file in (tmp_path / name).glob("*.npz")} for name in ("one", "two")]
    assert entries[0] == entries[1] and len(entries[0]) > 5
    for name in entries[0]:
        with np.load(tmp_path / "one" / name) as a, np.load(tmp_path / "two" / name) as b:
            assert a.files == b.files
            for part in set(a.files) - {"entry"}:  # which has the seconds that it took
                np.testing.assert_array_equal(a[part], b[part])
    for key in ("methods", "priors", "competing"):
        pd.testing.assert_frame_equal(one.parts[key]["table"], two.parts[key]["table"])


@pytest.mark.parametrize("kept", [True, False], ids=["store", "no store"])
@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "reusing"])
def test_a_stage_is_found_where_a_helper_left_it(study, tmp_path, kept, fresh):
    begun = tmp_path / "begun"
    store = FitStore(tmp_path / "store" if kept else None, fresh=fresh)
    stages = (of("slow", until(begun)), of("there", where(begun)))
    results = study.run(progress=False, stages=stages, store=store, n_jobs=2)
    assert not results.failures
    assert results.parts["there"]["process"] != os.getpid()
    assert (results.computed, results.reused) == (1, 0)
    assert store.folder == (tmp_path / "store" if kept else None)


def test_short_work_and_one_job_stay_in_one_process(study, tmp_path):
    for seconds, jobs in ((0.1, 2), (60.0, 1)):
        stages = (of("first", first), of("there", where(), seconds))
        store = FitStore(tmp_path / f"{jobs}")
        results = study.run(progress=False, stages=stages, store=store, n_jobs=jobs)
        assert results.parts["there"]["process"] == os.getpid()


def test_a_killed_helper_costs_its_time_only(study, tmp_path):
    here, killed = os.getpid(), tmp_path / "killed"

    def doomed(bench):
        import os
        import signal

        if os.getpid() != here:
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return bench.keep("doomed", {}, lambda: {"process": os.getpid()})

    stages = (of("wait", until(killed)), of("last", where()), of("doomed", doomed))
    began = time.perf_counter()
    results = study.run(progress=False, stages=stages, store=FitStore(tmp_path / "store"), n_jobs=2)
    assert results.parts["doomed"]["process"] == here == results.parts["last"]["process"]
    assert not results.failures and results.computed == 2
    assert time.perf_counter() - began < 120


KILLED = """
import os, signal
from longsurv.study.helpers import pool_of

pool = pool_of(1)
print(pool.submit(os.getpid).result(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_study_that_is_killed_leaves_no_helper_behind():
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE) as study:
        out, _ = study.communicate(timeout=30)  # ends when nobody is left who could say more
    assert study.returncode == -signal.SIGKILL
    assert int(out) != study.pid


def test_what_reads_other_stages_is_never_made_without_them(study, tmp_path):
    """By a stage that forgets to say so, too: what it keeps would be found by its name later."""
    begun = tmp_path / "begun"

    def forgetful(bench):
        begun.touch()
        before = bench.parts.get("first", "nothing")
        return bench.keep("of the first", {}, lambda: {"first": before})

    stages = (of("first", until(begun)), of("forgetful", forgetful))
    results = study.run(progress=False, stages=stages, store=FitStore(tmp_path / "s"), n_jobs=2)
    assert results.parts["forgetful"] == {"first": "there"} and not results.failures


def test_what_fails_in_a_helper_is_a_failure_of_the_study(study, tmp_path):
    def fails(bench):
        from longsurv.errors import LongsurvError

        raise LongsurvError("there is nothing to say")

    stages = (of("first", first), of("fails", fails))
    results = study.run(progress=False, stages=stages, store=FitStore(tmp_path / "s"), n_jobs=2)
    assert results.failures == {"fails": "there is nothing to say"}


def test_an_interrupt_ends_the_helpers_and_the_next_run_goes_on(study, tmp_path):
    def interrupted(bench):
        import os
        import time

        if os.environ.get("LONGSURV_TEST_GO_ON") != "yes":
            for _ in range(600):  # until the helper has stored what it found
                time.sleep(0.1)
                if list(bench._store.folder.glob("*.npz")):
                    raise KeyboardInterrupt
        return "went on"

    def endless(bench):
        import os
        import time

        if os.environ.get("LONGSURV_TEST_GO_ON") != "yes":
            time.sleep(600)
        return "ended"

    store, folder = tmp_path / "store", Path(tmp_path / "store")
    stages = (of("interrupted", interrupted), of("endless", endless), of("there", where()))
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        study.run(progress=False, stages=stages, store=FitStore(store), n_jobs=2)
    assert time.perf_counter() - began < 90
    assert len(list(folder.glob("*.npz"))) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LONGSURV_TEST_GO_ON", "yes")
        results = study.run(progress=False, stages=stages, store=FitStore(store), n_jobs=1)
    assert results.reused == 1 and results.parts["there"]["process"] != os.getpid()


def test_pieces_of_a_stage_are_shared(study, tmp_path):
    """A helper takes the last one while the study is at the first, which waits for it."""
    begun = tmp_path / "begun"

    def piece(bench, name):
        import os
        import time

        if name == "last":
            begun.touch()
        for _ in range(1200):
            if begun.exists():
                break
            time.sleep(0.05)
        return bench.keep("piece", name, lambda: {"process": os.getpid()})

    def run(bench):
        found = {}
        for name in ("first", "last"):
            bench.turn(name)
            found[name] = piece(bench, name)["process"]
        return found

    pieces = {name: partial(piece, name=name) for name in ("first", "last")}
    stage = replace(of("shared", run), pieces=lambda _: pieces)
    store = FitStore(tmp_path / "store")
    results = study.run(progress=False, stages=(stage,), store=store, n_jobs=2)
    assert not results.failures and (results.computed, results.reused) == (2, 0)
    assert results.parts["shared"]["first"] == os.getpid() != results.parts["shared"]["last"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_shared_work_comes_back_in_order_and_fails_here(jobs):
    here = os.getpid()

    def work(k):
        import os

        if k == 2 and os.getpid() != here:
            raise ArithmeticError
        return k

    with helpers.at_hand(jobs) as workers:
        shared = helpers.Shared(workers)
        for k in range(5):
            shared.add(partial(work, k))
        assert shared.done() == [0, 1, 2, 3, 4]
        with helpers.at_hand(3) as again:
            assert again is workers
        shared = helpers.Shared(workers)
        shared.add(partial(divmod, 1, 0))  # by a worker, and then here
        with pytest.raises(ZeroDivisionError):
            shared.done()


def test_jobs_are_processes(study):
    assert helpers.processes(3) == 3
    assert 1 <= helpers.processes(-1) <= os.cpu_count()
    with pytest.raises(LongsurvError, match="n_jobs is"):
        study.run(progress=False, stages=(), n_jobs=0)
