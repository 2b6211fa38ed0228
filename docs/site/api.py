"""The reference of public names: a page each, its docstring and an example that is executed.

The examples (`examples.py`) all run in one kernel, each from an empty namespace, before Sphinx
begins; one that fails ends the build.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from public import ROOMS, names

import examples

LIMIT = 300
"""Seconds that one example may take."""


def book(cells: list[NotebookNode]) -> NotebookNode:
    """A notebook of these cells."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    language = {"name": "python", "pygments_lexer": "ipython3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": language})


def run(code: dict[str, str]) -> dict[str, NotebookNode]:
    """The executed cell of each example."""
    cells = [new_code_cell("%matplotlib inline")]
    for text in code.values():
        cells += [new_code_cell("%reset -f"), new_code_cell(text)]
    all_of_them = book(cells)
    NotebookClient(all_of_them, timeout=LIMIT, kernel_name="python3").execute()
    return dict(zip(code, all_of_them.cells[2::2], strict=True))


def directive(path: str) -> str:
    """How Sphinx shows what stands at an import path."""
    module, _, name = path.rpartition(".")
    value = getattr(import_module(module), name)
    if inspect.isclass(value):
        if issubclass(value, BaseException):
            return f".. autoexception:: {path}"
        return f".. autoclass:: {path}\n   :members:\n   :inherited-members: Exception, object"
    return f".. autofunction:: {path}" if callable(value) else f".. autodata:: {path}"


def summary(path: str) -> str:
    """The first sentence of a docstring."""
    module, _, name = path.rpartition(".")
    value = getattr(import_module(module), name)
    if not callable(value):
        return ""
    return (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")


def page(name: str, path: str, words: str, cell: NotebookNode) -> NotebookNode:
    """The page of one public name; the methods of a class come after its example."""
    shown = f"```{{eval-rst}}\n{directive(path)}\n```"
    head, example = new_markdown_cell(f"# {name}"), new_markdown_cell(f"## Example\n\n{words}")
    if ":members:" in shown:
        text = f"# {name}\n\n{summary(path)}\n\n## Example\n\n{words}"
        return book([new_markdown_cell(text), cell, new_markdown_cell(f"## Reference\n\n{shown}")])
    return book([head, new_markdown_cell(shown), example, cell])


def write(folder: Path) -> int:
    """Write the pages of all public names; returns how many.

    Parameters
    ----------
    folder : Path
        The sources of the site.
    """
    missing = examples.gaps()
    if missing:
        raise SystemExit("the reference is incomplete:\n  " + "\n  ".join(missing))
    every = {
        (room.folder, name): found for room in ROOMS for name, found in examples.of(room).items()
    }
    cells = run({f"{folder}.{name}": code for (folder, name), (_, code) in every.items()})
    contents = [
        "# Reference of names\n",
        "Every public name, each with an example that was executed when",
        "these pages were made. `help()` shows the same texts.\n",
    ]
    for room in ROOMS:
        public = names(room)
        (folder / "api" / room.folder).mkdir(parents=True, exist_ok=True)
        rows = [f"# {room.title}\n", f"{room.about}\n", "| name | |", "|---|---|"]
        rows += [f"| [{n}]({n}.ipynb) | {summary(path)} |" for n, path in public.items()]
        rows += ["\n```{toctree}\n:hidden:\n", *public, "```\n"]
        (folder / "api" / room.folder / "index.md").write_text("\n".join(rows), encoding="utf-8")
        for name, path in public.items():
            words = every[room.folder, name][0]
            made = page(name, path, words, cells[f"{room.folder}.{name}"])
            nbformat.write(made, folder / "api" / room.folder / f"{name}.ipynb")
    contents += ["```{toctree}\n:maxdepth: 1\n", *(f"{r.folder}/index" for r in ROOMS), "```\n"]
    (folder / "api" / "index.md").write_text("\n".join(contents), encoding="utf-8")
    return len(every)
