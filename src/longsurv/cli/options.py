"""What commands end with, and options that several of them take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

DONE, BAD_DATA, BAD_USAGE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130
STORE_FOLDER = ".longsurv"

EXIT_CODES = """\
exit codes:
    0  all went well
    1  data, files or formulas that cannot be used; the message says where and what to do
    2  wrong usage of the command line
    3  the report is written, but something in it could not be estimated; it says what and why
  130  interrupted; the same command goes on from the fits that were finished
"""


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    *examples: str,
) -> argparse.ArgumentParser:
    """Add a command with what it does and examples of it."""
    listed = "\n".join(f"  {example}" for example in examples)
    title = "example" if len(examples) == 1 else "examples"
    return commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"{title}:\n{listed}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_run_options(command: argparse.ArgumentParser, beside: str) -> None:
    """Add what every command that fits models takes; `beside`: where its store is."""
    command.add_argument("-q", "--quiet", action="store_true", help="say nothing while working")
    command.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help="folder that keeps finished fits, so that an interrupted run goes on where it stopped"
        f" (default: {STORE_FOLDER} beside {beside}; it holds no patient's data)",
    )
    command.add_argument("--no-store", action="store_true", help="keep nothing, reuse nothing")
    command.add_argument(
        "--fresh", action="store_true", help="compute everything again, whatever is stored"
    )


def add_jobs(command: argparse.ArgumentParser) -> None:
    """Add --jobs."""
    command.add_argument(
        "--jobs",
        type=whole(1),
        default=-1,
        metavar="N",
        help="processes to work in, at most (default: one a processor); no number depends on it",
    )


def add_study(command: argparse.ArgumentParser) -> None:
    """Add the study file, an argument without a name."""
    command.add_argument("study", type=Path, metavar="STUDY.toml", help="the study file")


def add_quick(command: argparse.ArgumentParser) -> None:
    """Add --quick."""
    command.add_argument(
        "--quick",
        action="store_true",
        help="few posterior draws and no extras, for a first look; the report says so",
    )


def whole(least: int) -> Callable[[str], int]:
    """A reader of whole numbers that are not below the least."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"a whole number, {least} or more, not {text!r}")
        return int(text)

    return read
