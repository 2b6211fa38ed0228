"""`longsurv schema`: the JSON schema of study files."""

from __future__ import annotations

import argparse

from longsurv.cli.options import DONE, add_command
from longsurv.console import say


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "schema",
        "print the JSON schema of study files, for editors that complete and check them",
        "longsurv schema > study.schema.json",
    )
    words = "print the reference page of the keys instead, as Markdown"
    command.add_argument("--page", action="store_true", help=words)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the JSON schema of study files, or the page of their keys."""
    import json

    from longsurv.cohort.reference import json_schema, reference_page

    text = reference_page() if arguments.page else json.dumps(json_schema(), indent=2)
    say(text.rstrip("\n").split("\n"))
    return DONE
