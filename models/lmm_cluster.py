"""A linear mixed model whose rows stay on the machines of a Dask cluster.

Every file is a part: what is known of its rows and patients stays where it was computed, and small
matrices travel. Dask computes again what a machine that was lost had.
"""

from __future__ import annotations

import contextlib
import socket
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from longsurv.design import MixedDesign
from longsurv.design.expression import Functions
from longsurv.design.scanned.columns import Triangle
from longsurv.design.scanned.elsewhere import RowsElsewhere
from longsurv.design.scanned.mixed import (
    MixedPlan,
    ScannedMixed,
    mixed_plan,
    mixed_question,
    scanned_mixed,
)
from longsurv.design.scanned.scan import Scan
from longsurv.design.scanned.survey import Looked, ScanQuestion, check_there
from longsurv.errors import DataError, LongsurvError
from longsurv.likelihood.lmm import LMMData
from longsurv.likelihood.lmm.parted import PartedKernel
from longsurv.likelihood.lmm.parts import PartArrays, SummedPart, added
from longsurv.likelihood.lmm.streamed import prepare_streamed

if TYPE_CHECKING:
    from distributed import Client, Future


@dataclass(frozen=True, eq=False)
class DaskCluster:
    """A Dask cluster that asks parts which it has.

    Attributes
    ----------
    client : distributed.Client
    """

    client: Client

    @classmethod
    def at(cls, address: str) -> DaskCluster:
        """The cluster of a scheduler.

        Parameters
        ----------
        address : str
            Such as "tcp://host:8786".

        Raises
        ------
        LongsurvError
            If nobody answers there, or Dask is not installed.
        """
        try:
            from distributed import Client
        except ImportError as error:
            raise LongsurvError(
                "reading on a Dask cluster needs the package 'distributed' here, and longsurv on"
                " every worker: pip install 'dask[distributed]'"
            ) from error
        try:  # a client that found nobody would go on trying
            parts = urlsplit(address)
            socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5).close()
            client = Client(address, set_as_default=False, timeout=20)
        except (OSError, ValueError) as error:
            raise LongsurvError(
                f"no Dask scheduler answers at {address!r} (such as tcp://host:8786): {error}"
            ) from error
        cluster = cls(client)
        weakref.finalize(cluster, _close, client)  # with the last kernel that it computes
        return cluster

    def each[P, R](self, ask: Callable[[P], R], parts: Sequence[P]) -> Iterable[R]:
        """The answers, in the order of the parts.

        Parameters
        ----------
        ask : callable
            Of a part.
        parts : sequence
            Futures of the cluster.
        """
        return self.gathered(self.mapped(ask, parts))

    def mapped(self, ask: Callable[..., object], *parts: Sequence[object]) -> list[Future]:
        """The answers, where they are computed.

        Parameters
        ----------
        ask : callable
        *parts : sequence
            Its arguments, as many of each, or their futures.
        """
        return [self.client.submit(ask, *of, pure=False) for of in zip(*parts, strict=True)]

    def gathered(self, futures: Sequence[Future]) -> list:  # any: of whatever was asked
        """Answers brought here.

        Parameters
        ----------
        futures : sequence of Future

        Raises
        ------
        LongsurvError
            Where a worker could not answer.
        """
        from distributed import KilledWorker

        try:
            return cast("list", self.client.gather(futures))
        except (KilledWorker, ModuleNotFoundError) as error:
            raise LongsurvError(f"the workers of the cluster cannot do it: {error}") from error


def _close(client: Client) -> None:
    """Let go of a scheduler, which may be gone."""
    with contextlib.suppress(OSError, TimeoutError):
        client.close(timeout=1)


def read_on_cluster(
    formula: str, data: Scan, scheduler: str, functions: Functions | None
) -> tuple[MixedDesign, PartedKernel, float]:
    """The design, the likelihood, and the largest residual over the largest response.

    Raises
    ------
    DataError
        If a patient has rows in several files.
    """
    cluster = DaskCluster.at(scheduler)
    try:
        return _read(cluster, formula, data, functions)
    except BaseException:
        _close(cluster.client)  # whatever holds on to the error
        raise


def _read(
    cluster: DaskCluster, formula: str, data: Scan, functions: Functions | None
) -> tuple[MixedDesign, PartedKernel, float]:
    files = data.by_file()
    asked = mixed_question(formula, functions)
    check_there(data, asked.columns)
    looked = cluster.mapped(asked.look, files)
    light = cluster.gathered(cluster.mapped(_light, looked))
    _check_files(asked, data, light)
    used = [k for k, one in enumerate(light) if one.rows]
    files, looked = [files[k] for k in used], [looked[k] for k in used]
    found = asked.together(data, light)
    plan = mixed_plan(formula, found, functions)

    def triangles(scan: Scan, of: Looked) -> tuple[Triangle, Triangle]:
        return plan.of(scan, of).triangles()

    pairs = cluster.gathered(cluster.mapped(triangles, files, looked))
    outer, inner = (added(of) for of in zip(*pairs, strict=True))
    scanned = scanned_mixed(plan, outer, inner)

    def statistics(scan: Scan, of: Looked) -> tuple[LMMData, float]:
        return _statistics(scanned, scanned.plan.of(scan, of), len(of.labels))

    whole = cluster.mapped(statistics, files, looked)
    heads = cluster.gathered(cluster.mapped(_head, whole))
    head = heads[0][0]
    rest = max(one for _, one in heads)
    lost = RowsElsewhere("the statistics of the patients", len(scanned.design.labels))
    joined = LMMData(
        blocks=cast("tuple[np.ndarray, np.ndarray]", (lost, lost)),
        cross=sum((one.cross for one, _ in heads[1:]), head.cross),
        r=head.r, beta_ols=head.beta_ols, z_basis=head.z_basis, z_scale=head.z_scale,
        nobs=found.rows, log_weights=np.zeros(len(scanned.design.labels)),
    )  # fmt: skip
    parts = cast("list[SummedPart]", cluster.mapped(_arrays, whole))  # as workers see them
    kernel = PartedKernel(joined, scanned.design.random.blocks, None, parts, cluster)
    return scanned.design, kernel, rest


def _light(of: Looked) -> Looked:
    return of.light


def _statistics(scanned: ScannedMixed, plan: MixedPlan, patients: int) -> tuple[LMMData, float]:
    return prepare_streamed(
        plan.rows(),
        scanned.triangle,
        scanned.random_triangle,
        scanned.plan.found.rows,
        patients,
        scanned.design.random.blocks,
    )


def _head(of: tuple[LMMData, float]) -> tuple[LMMData, float]:
    """What is known of a part but for its patients."""
    data, rest = of
    nobody = (data.blocks[0][:0], data.blocks[1][:0])
    return replace(data, blocks=nobody, log_weights=data.log_weights[:0]), rest


def _arrays(of: tuple[LMMData, float]) -> PartArrays:
    return PartArrays(*of[0].blocks, of[0].patients)


def _check_files(asked: ScanQuestion, data: Scan, looked: Sequence[Looked]) -> None:
    """Refuse patients whose rows are in several files, which no part would have whole."""
    labels = [pd.Index(one.labels.to_pandas()) for one in looked]
    twice = np.flatnonzero(pd.Index(np.concatenate(labels)).duplicated())
    if not len(twice):
        return
    ends = np.cumsum([len(of) for of in labels])
    place = int(np.searchsorted(ends, twice[0], side="right"))
    who = np.concatenate(labels)[twice[0]]
    first = next(k for k, of in enumerate(labels) if who in of)
    raise DataError(
        f"{asked.group} {who!s} has rows in {data.files[first]} and in {data.files[place]}; on a "
        "cluster all rows of a patient are in one file. Write the files by patient, or scan them "
        "without scheduler="
    )
