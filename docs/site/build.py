"""Build the documentation into docs/_build/html: `make docs` runs this.

    python docs/site/build.py [--only PAGE ...]

The tests are asked what they compared with R, the examples of the reference and the pages with code
are executed, Sphinx makes the pages, their links are followed and some are opened in a browser.
Whatever fails ends the build. With --only it makes those pages alone, to look at while writing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
BUILD = DOCS / "_build"
SOURCE, HTML, RECORDED = BUILD / "source", BUILD / "html", BUILD / "compared.csv"
NOTEBOOKS = ROOT / "examples" / "notebooks"
NO_PAGES = {"_build", "site", "__pycache__"}
PAGE_KINDS = {".md", ".ipynb", ".svg", ".png", ".css", ".csv"}

KERNEL = """\
c.InlineBackend.figure_formats = {"svg"}
c.HistoryManager.enabled = False
c.InteractiveShellApp.exec_lines = [
    "__import__('pandas').set_option('display.precision', 4)",
]
"""
"""Figures as vectors, numbers to four decimals."""

QUIET = 'c.IPKernelApp.log_level = "ERROR"\n'
"""A kernel would warn that it listens on this machine's own ports; no page is about that."""


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, flush=True)


def record() -> None:
    """Let the tests write down what they compare with R."""
    looks_up = [
        str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if any(name in path.read_text(encoding="utf-8") for name in ("r_results", "reference"))
    ]  # fmt: skip
    RECORDED.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "recorder", "--record", str(RECORDED)]
    done = subprocess.run(
        [*command, *looks_up], cwd=ROOT, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"a test that compares with R fails:\n{done.stdout[-4000:]}")


def gather() -> None:
    """Bring the pages together where Sphinx reads them."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for path in sorted(DOCS.rglob("*")):
        inside = path.relative_to(DOCS)
        if path.suffix in PAGE_KINDS and not NO_PAGES & set(inside.parts):
            target = SOURCE / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    for path in NOTEBOOKS.glob("*.ipynb"):
        shutil.copy(path, SOURCE / "tutorials" / path.name)
    shutil.copy(ROOT / "CHANGELOG.md", SOURCE / "changelog.md")
    shutil.copy(ROOT / "CITATION.cff", SOURCE)
    shutil.copy(ROOT / "tests" / "invariance" / "table.txt", SOURCE / "validation")
    (SOURCE / "validation" / "benchmarks.md").write_text(benchmarks(), encoding="utf-8")


def benchmarks() -> str:
    """The page of what was measured: the README's own section."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, found, rest = readme.partition("\n## How it compares\n")
    table, ends, _ = rest.partition("\n**")
    assert found and ends, "README.md has no section 'How it compares'"
    return f"# Benchmarks\n{table}"


def generate() -> str:
    """Write the pages that are made from code and tests."""
    import api
    import commands
    import validation

    (SOURCE / "reference").mkdir(exist_ok=True)
    commands.write(SOURCE / "reference" / "command_line.md")
    compared = validation.write(SOURCE, RECORDED)
    return f"{compared:,} comparisons with R, {api.write(SOURCE)} executed examples"


def render(only: list[str]) -> None:
    """Run Sphinx; a warning is an error."""
    from sphinx.cmd.build import main

    shutil.rmtree(HTML, ignore_errors=True)
    strict = [] if only else ["--fail-on-warning", "--keep-going"]
    jobs = str(min(2, os.cpu_count() or 1))
    options = ["-b", "html", "-q", "-E", "-j", jobs, "-c", str(DOCS), *strict]
    failed = main([*options, "-d", str(BUILD / "doctrees"), str(SOURCE), str(HTML)])
    if failed:
        raise SystemExit(failed)


def prepare() -> None:
    """Settings of the kernels that execute pages, and nothing of the user's own."""
    profile = BUILD / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_config.py").write_text(KERNEL, encoding="utf-8")
    (profile / "ipython_kernel_config.py").write_text(QUIET, encoding="utf-8")
    os.environ |= {
        "IPYTHONDIR": str(BUILD / "ipython"),
        "PYTHONWARNINGS": "ignore::DeprecationWarning:traitlets",
    }
    paths = [str(DOCS / "site"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))  # `beside` for the pages
    os.environ["LONGSURV_REFERENCE"] = str(ROOT / "tests" / "reference")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ.pop("MPLBACKEND", None)  # figures in pages are the kernel's own to show


def main() -> None:
    """Build, then check."""
    import links
    import opened

    options = argparse.ArgumentParser(description="Build the documentation.")
    options.add_argument("--only", nargs="*", default=[], metavar="PAGE", help="these pages alone")
    only = options.parse_args().only
    began = time.monotonic()
    prepare()
    if not only:
        say("Asking the tests what they compare with R")
        record()
    gather()
    if only:
        wanted = {SOURCE / page for page in [*only, "index.md"]}
        for path in SOURCE.rglob("*"):
            if path.suffix in {".md", ".ipynb"} and path not in wanted:
                path.unlink()
    else:
        say(f"Made {generate()} ({time.monotonic() - began:.0f} s)")
    render(only)
    if not only:
        wrong = links.broken(HTML) + opened.problems(HTML)
        if wrong:
            raise SystemExit("\n".join([f"{len(wrong)} problems of the pages:", *wrong]))
    say(f"{HTML.relative_to(ROOT)}/index.html ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
