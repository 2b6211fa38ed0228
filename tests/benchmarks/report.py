"""How much a reader of the example reports has before them, whether all of it fits, and how long
it takes to make."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from timing import Row

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from browser import Browser, find_browser
from fits import misfits
from measured import measured

SCREENS = ((1200, 900), (390, 844))
WIDTHS = (320, 390, 768, 1200, 1920)


def reports(folder: Path) -> Iterator[Row]:
    """Words, tables, figures and screens of both, at once and with every fold open."""
    from longsurv.cohort.examples import EXAMPLES, example_path
    from longsurv.study import Study

    for name in EXAMPLES:
        results = Study.from_toml(example_path(name) / "study.toml").run(progress=False)
        page = results.report(folder / f"{name}.html")
        counts = measured(page.read_text(encoding="utf-8"))
        for count, note in ((counts.at_once, "unfolded"), (counts.whole, "all")):
            work = f"report of {name}, {note}"
            yield Row(work, "longsurv", count.prose, "words of prose")
            yield Row(work, "longsurv", count.prose + count.cells, "words in all")
            yield Row(work, "longsurv", count.tables, "tables")
            yield Row(work, "longsurv", count.figures, "figures")
        if find_browser() is None:
            print("  (screens are not counted: there is no Chromium)")
        else:
            yield from _screens(page, f"report of {name}", folder / f"profile-{name}")


STAGE = re.compile(r"^\[\d+/\d+\] (.+): (\d+):(\d\d)(?!\d)")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def times(folder: Path) -> Iterator[Row]:
    """Seconds of the sepsis report by the command, nothing stored and all kernels compiled: alone,
    with its folder and quick, by one process and by two; and its stages, as the run told them."""
    from longsurv.cohort.examples import example_path

    study = str(example_path("ivig_sepsis") / "study.toml")
    target = str(folder / "timed.html")
    for jobs in (1, 2):
        for what, options in (
            ("report", ()),
            ("report and folder", ("--folder", str(folder / f"all-{jobs}"))),
            ("quick report", ("--quick",)),
        ):
            command = [sys.executable, "-m", "longsurv.cli", "report", study, "-o", target]
            began = time.perf_counter()
            done = subprocess.run(
                [*command, "--no-store", "--jobs", str(jobs), *options],
                env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=True,
            )  # fmt: skip
            note = f"jobs {jobs}"
            yield Row(f"{what} of sepsis", "longsurv", time.perf_counter() - began, note=note)
            if what == "report":
                yield from _stages(done.stderr, note)


def _stages(told: str, note: str) -> Iterator[Row]:
    """The stages of a second or more."""
    for line in told.splitlines():
        if (found := STAGE.match(line)) and (took := 60 * int(found[2]) + int(found[3])):
            yield Row(f"  {found[1]}"[:33], "longsurv", took, note=note)


def _screens(page: Path, work: str, profile: Path) -> Iterator[Row]:
    """How high it is, and how many texts are cut at any width, folds open."""
    with Browser(profile) as browser:
        browser.open(page, SCREENS[0][0])
        for width, height in SCREENS:
            browser.resize(width, height)
            high = browser.run("document.documentElement.scrollHeight") / height
            yield Row(f"{work}, unfolded", "longsurv", high, f"screens {width} x {height}")
        browser.run("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        cut = []
        for width in WIDTHS:
            browser.resize(width)
            cut += [f"{width}: {text}" for text in misfits(browser, width)]
        note = "; ".join([*cut[:3], *browser.problems])
        yield Row(f"{work}, all", "longsurv", len(cut), "texts cut", note)
