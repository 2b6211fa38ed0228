"""The page of the command line, from its parser."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from longsurv.cli.options import EXIT_CODES
from longsurv.cli.program import parser

WIDTH = "96"


def subcommands(root: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (action,) = (a for a in root._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


def write(path: Path) -> None:
    """Write the page."""
    os.environ["COLUMNS"] = WIDTH  # what argparse wraps to
    root = parser()
    lines = [
        "# Command line\n",
        "What `longsurv --help` and `longsurv COMMAND --help` print.\n",
        f"```text\n{root.format_help()}```\n",
    ]
    for name, command in subcommands(root).items():
        text = command.format_help().replace(EXIT_CODES, "").rstrip()
        lines.append(f"## {name}\n\n```text\n{text}\n```\n")
    path.write_text("\n".join(lines), encoding="utf-8")
