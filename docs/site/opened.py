"""Pages of the built site in a headless browser, from disk, without a network."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))

from browser import Browser, find_browser

WIDTHS = (390, 1200)
PAGES = (
    "index.html", "start/five_minutes.html", "tutorials/trajectories.html",
    "validation/references.html", "api/models/LMM.html",
)  # fmt: skip
SOUGHT = "Kenward-Roger"
PATIENCE = 20.0
"""Seconds until the search must have answered."""


def problems(site: Path, pages: Sequence[str] = PAGES) -> list[str]:
    """Messages of the console, requests to elsewhere, wide pages, a search that finds nothing."""
    if find_browser() is None:
        return []
    found = []
    with tempfile.TemporaryDirectory() as profile, Browser(Path(profile)) as browser:
        for page in pages:
            assert (site / page).exists(), page
            for width in WIDTHS:
                browser.open(site / page, width)
                if browser.run("document.documentElement.scrollWidth") > width:
                    found.append(f"{page} is wider than {width} pixels")
                found += [f"{page} at {width}: {text}" for text in browser.problems]
                browser.problems.clear()
        browser.open(site / "search.html", WIDTHS[1])
        browser.run(f"location.search = '?q={SOUGHT}'")
        answers = 0
        end = time.monotonic() + PATIENCE
        while not answers and time.monotonic() < end:
            time.sleep(0.1)
            answers = browser.run("document.querySelectorAll('#search-results li').length")
        if not answers:
            found.append(f"the search does not find {SOUGHT}")
        found += [f"search: {text}" for text in browser.problems]
        outside = {r for r in browser.requests if not r.startswith(("file:", "data:", "about:"))}
        found += [f"asked for {request}" for request in sorted(outside)]
    return found
