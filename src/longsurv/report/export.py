"""Everything a study found as files: page, document, tables, figures, numbers and draws."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.files import (
    UNFINISHED,
    plainly,
    writable,
    writable_folder,
    write_bytes,
    write_text,
)
from longsurv.report.content import content
from longsurv.report.folder import dictionary, folder_tables
from longsurv.report.page import render_page
from longsurv.report.painting import Paint, draw_ahead
from longsurv.report.sections import Builder, builder
from longsurv.report.sections.common import Picture
from longsurv.report.spreadsheet import spreadsheet_csv
from longsurv.report.word import write_word
from longsurv.study.helpers import Shared, at_hand

if TYPE_CHECKING:
    from xarray import DataTree

    from longsurv.results import Posterior
    from longsurv.study import ModelResult, StudyResults


def export(results: StudyResults, folder: str | Path) -> Path:
    """Write the report and all it is made of into a folder.

    The folder gets ``report.html``, ``report.docx``, ``results.json`` (every table with its types,
    versions, seed and the hash of the data), ``tables/NAME.csv`` (in which a spreadsheet finds no
    formula), ``dictionary.csv`` (each column of each in words), ``figures/NAME.svg`` and ``.png``,
    and ``draws/MODEL.nc``, which ``arviz.from_netcdf`` reads. Files of the same names are replaced,
    others are left alone.

    Unless the study shows patients, nothing has an identifier or a value measured of a patient; the
    log-likelihood of each, which ``arviz.loo`` needs, has numbers in place of names.

    Parameters
    ----------
    results : StudyResults
    folder : str or Path
        Made if it does not exist; its parent must.

    Returns
    -------
    Path
        Of the folder.

    Raises
    ------
    LongsurvError
        If the folder is a file or cannot be made, or something cannot be written there.
    """
    build = builder(results)  # each section once for all files
    return _export(results, folder, render_page(results, build), build, draw_ahead(results, build))


def write_all(
    results: StudyResults, path: Path, folder: Path | None = None, *, n_jobs: int = 1
) -> Path:
    """The report, and a folder as by `export` if one is given, each section made once for both.

    Parameters
    ----------
    results : StudyResults
    path : Path
        Of the report.
    folder : Path, optional
    n_jobs : int
        Processes to draw figures in, at most. No file depends on it.

    Returns
    -------
    Path
        Of the report.
    """
    build = builder(results)
    paint = draw_ahead(results, build, n_jobs, painted=folder is not None)
    page = render_page(results, build)
    target = write_text(writable(path), page)
    results.faults.write_log(target.with_suffix(".log"))
    if folder is not None:
        _export(results, folder, page, build, paint, n_jobs)
    return target


def _export(
    results: StudyResults,
    folder: str | Path,
    page: str,
    build: Builder,
    paint: Paint,
    n_jobs: int = 1,
) -> Path:
    target = writable_folder(folder)
    for part in ("tables", "figures", "draws"):
        with plainly(target / part):
            (target / part).mkdir(parents=True, exist_ok=True)
    with at_hand(n_jobs) as workers:
        saved: Shared[None] = Shared(workers)
        for name, model in drawn_models(results).items():
            assert model.post is not None
            named, path = results.study.show_patients, target / "draws" / f"{name}.nc"
            saved.add(partial(_write_draws, model.post, named, path))
        _write_rest(results, target, page, build, paint)
        saved.done()
    results.faults.write_log(target / "report.log")
    return target


def _write_rest(
    results: StudyResults, target: Path, page: str, build: Builder, paint: Paint
) -> None:
    """All but the draws."""
    write_text(target / "report.html", page)
    items = list(content(results, build))
    write_word(results, target / "report.docx", items, paint)
    tables = folder_tables(results)
    for name, table in tables.items():
        write_text(target / "tables" / f"{name}.csv", spreadsheet_csv(table))
    write_text(target / "dictionary.csv", spreadsheet_csv(dictionary(tables)))
    for picture in [item for item in items if isinstance(item, Picture)]:
        draw = partial(_drawn, picture, paint)
        drawn, _ = results.faults.attempt(f"Figure {picture.name!r}", draw)
        if drawn is not None:
            write_text(target / "figures" / f"{picture.name}.svg", drawn[0])
            write_bytes(target / "figures" / f"{picture.name}.png", drawn[1])
    text = json.dumps(as_json(results, tables), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(target / "results.json", text + "\n")


def nameless(idata: DataTree) -> DataTree:
    """Draws without what was observed, and with patients as numbers in the place of identifiers."""
    groups = {name: group for name, group in idata.children.items() if name != "observed_data"}
    tree = idata.copy()
    if "observed_data" in idata.children:
        tree = tree.drop_nodes("observed_data")
    pointwise = groups.get("log_likelihood")
    if pointwise is None:
        return tree
    plain = pointwise.to_dataset()
    units = {name: np.arange(1, size + 1) for name, size in plain.sizes.items()
             if str(name).endswith("_unit")}  # fmt: skip
    return tree.assign({"log_likelihood": type(idata)(plain.assign_coords(units))})


def _write_draws(posterior: Posterior, named: bool, path: Path) -> None:
    draws = posterior.idata if named else nameless(posterior.idata)
    unfinished = path.with_name(f"{UNFINISHED}{path.name}")
    with plainly(path):
        try:
            draws.to_netcdf(unfinished, engine="h5netcdf")
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


def _drawn(picture: Picture, paint: Callable[[Picture], bytes]) -> tuple[str, bytes]:
    return standalone(str(picture.wide)), paint(picture)


def drawn_models(results: StudyResults) -> dict[str, ModelResult]:
    """Every model with draws by the name of its file: markers, mortality, scores, joint models."""
    names = {id(model): name for name, model in results.models.items()}
    order = [*results.models.values(), *(model for _, model in results.all_models)]
    models = {id(model): model for model in order}
    return {
        file_name(names.get(key, model.name), k): model
        for k, (key, model) in enumerate(models.items())
        if model.post is not None
    }


def as_json(results: StudyResults, tables: Mapping[str, pd.DataFrame]) -> dict[str, object]:
    """The tables as records and where they come from; what is missing or infinite is null."""
    return {
        "title": results.cohort.title,
        "note": results.cohort.note,
        "reconstructed": results.cohort.reconstructed,
        "quick": results.quick,
        "seed": results.study.sampling.seed,
        "data_sha256": results.data_hash,
        "versions": dict(results.versions),
        "draws": {file: model.name for file, model in drawn_models(results).items()},
        "tables": {
            name: [_plain(row) for row in table.to_dict("records")]
            for name, table in tables.items()
        },
    }


def _plain(row: Mapping[Hashable, object]) -> dict[str, object]:
    return {str(key): _value(value) for key, value in row.items()}


def _value(value: object) -> object:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return str(value)


def file_name(name: str, position: int) -> str:
    """A model's name as every file system takes it: its place, and what is plain of the name."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:40]
    return f"{position:02d}-{plain}" if plain else f"{position:02d}"


def standalone(svg: str) -> str:
    """An SVG of the page as a file of its own, in the light colours."""
    svg = re.sub(r"var\(--[\w-]+, (#[0-9a-f]{6})\)", r"\1", svg)
    if "xmlns=" not in svg.partition(">")[0]:
        svg = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return svg.replace("<svg ", '<svg font-family="sans-serif" ', 1) + "\n"
