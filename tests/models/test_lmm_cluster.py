"""A mixed model whose rows stay on the workers of a Dask cluster."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.errors import DataError, LongsurvError
from longsurv.models import LMM
from longsurv.models.lmm_cluster import DaskCluster

FORMULA = "y ~ time * arm + C(stage) + (time | id)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six files of forty patients; a level of a factor is in one of them."""
    rng, out = np.random.default_rng(4), tmp_path_factory.mktemp("visits")
    for k in range(6):
        who, time = np.repeat(np.arange(40), 4), np.tile(np.arange(4.0), 40)
        arm = np.array(["a", "b"])[rng.integers(0, 2, 40)][who]
        b = (rng.normal(size=(40, 2)) * [1.0, 0.3])[who]
        y = 5.0 + 0.2 * time + b[:, 0] + b[:, 1] * time + rng.normal(size=len(who))
        stage = rng.integers(1, 3 if k < 5 else 4, 40)[who]
        rows = {"id": who + 100 * k, "time": time, "arm": arm, "stage": stage, "y": y}
        pd.DataFrame(rows).to_parquet(out / f"part{k}.parquet")
    return out


@pytest.fixture(scope="module")
def scheduler() -> Iterator[tuple[str, list[int]]]:
    """Its address, and the processes of its two workers."""
    from distributed import LocalCluster

    options = {"dashboard_address": ":0", "silence_logs": 50}  # any free port
    with LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster:
        yield cluster.scheduler_address, [worker.pid for worker in cluster.workers.values()]
        gc.collect()  # what holds a connection goes before the scheduler does


def test_the_numbers_are_those_of_one_machine(
    folder: Path, scheduler: tuple[str, list[int]]
) -> None:
    here = LMM(FORMULA, ls.scan(folder)).fit()
    there = LMM(FORMULA, ls.scan(folder, scheduler=scheduler[0])).fit()
    pd.testing.assert_frame_equal(there.tidy(), here.tidy(), rtol=1e-10)
    pd.testing.assert_frame_equal(there.variance_table(), here.variance_table(), rtol=1e-8)
    assert there.llf == pytest.approx(here.llf, rel=1e-12)
    new = pd.read_parquet(folder / "part0.parquet").head(5)
    pd.testing.assert_frame_equal(there.predict(new), here.predict(new), rtol=1e-10)
    with pytest.raises(LongsurvError, match="statistics of the patients"):
        there.ranef()


def test_a_worker_that_is_killed_loses_nothing(
    folder: Path, scheduler: tuple[str, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = LMM(FORMULA, ls.scan(folder, scheduler=scheduler[0])).fit()
    asked, ask = [], DaskCluster.each

    def each(self: DaskCluster, *of: object) -> object:
        asked.append(of)
        if len(asked) == 4:
            os.kill(scheduler[1][0], signal.SIGKILL)
        return ask(self, *of)  # type: ignore[arg-type]

    monkeypatch.setattr(DaskCluster, "each", each)
    again = LMM(FORMULA, ls.scan(folder, scheduler=scheduler[0])).fit()
    assert len(asked) > 4
    pd.testing.assert_frame_equal(again.tidy(), usual.tidy(), check_exact=True)


def test_a_patient_in_two_files_is_named(
    folder: Path, scheduler: tuple[str, list[int]], tmp_path: Path
) -> None:
    rows = pd.read_parquet(folder / "part0.parquet")
    rows.head(81).to_parquet(tmp_path / "one.parquet")
    rows.tail(-81).to_parquet(tmp_path / "two.parquet")
    with pytest.raises(DataError, match=r"id 20 has rows in .*one\.parquet and in .*two\.parquet"):
        LMM("y ~ time + (1 | id)", ls.scan(tmp_path, scheduler=scheduler[0])).fit()
    LMM("y ~ time + (1 | id)", ls.scan(tmp_path)).fit()  # here it does not matter


def test_mistakes_on_workers_are_answered(folder: Path, scheduler: tuple[str, list[int]]) -> None:
    data = ls.scan(folder, scheduler=scheduler[0])
    with pytest.raises(DataError, match="zero or a negative number"):
        LMM("log(y - 100) ~ time + (1 | id)", data).fit()
    for address in ("tcp://localhost:1", "nonsense", "tcp://nowhere.invalid:8786"):
        with pytest.raises(LongsurvError, match="no Dask scheduler answers"):
            LMM(FORMULA, ls.scan(folder, scheduler=address)).fit()
