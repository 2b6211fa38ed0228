"""The directions of imports, what `import longsurv` costs, and the public names."""

from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

import longsurv
import longsurv.study

ROOT = Path(__file__).resolve().parents[1]

# What each part may import from the rest of longsurv, besides itself, the errors and the words.
# None stands for everything.
FOUNDATION = {"cohort", "design", "likelihood", "inference", "priors", "times"}
# Results call on estimands and diagnostics, which see a result only as something with its methods.
# What shows a result: drawings, and tables as text.
SHOWN = {"figures", "numbers", "tables"}
ANSWERS = FOUNDATION | SHOWN | {"estimands", "diagnostics"}
MODELS = ANSWERS | {"results", "models"}
ALLOWED: dict[str, set[str] | None] = {
    "arguments": {"frames", "hints"},
    "files": set(),
    "frames": set(),
    "hints": set(),
    "errors": set(),
    "words": set(),
    "compiled": set(),
    "compiling": set(),
    "faults": {"interrupts"},
    "interrupts": set(),
    "lazy": set(),
    "own_order": set(),
    "times": set(),
    "reading": set(),
    "records": set(),
    "cohort": {"times", "reading"},
    "draft": {"frames", "cohort", "reading"},
    "design": {"times", "likelihood"},  # the kinds that a user names, which see arrays only
    "likelihood": {"compiling", "times", "priors"},  # default priors of a family's parameters
    "inference": {"compiling"},
    "priors": {"tables"},
    "diagnostics": FOUNDATION | SHOWN | {"estimands"},
    "estimands": FOUNDATION | SHOWN,
    "results": ANSWERS,
    "models": MODELS,
    "analyses": MODELS,
    "numbers": set(),
    "tables": {"numbers"},
    "figures": {"numbers", "tables"},
    "compare": MODELS,
    "study": MODELS
    | {"analyses", "compare", "faults", "interrupts", "numbers"}
    | {"version", "views"},
    "simulate": MODELS | {"study", "views"},
    # Shows what a run found: it fits nothing, so it sees neither models nor analyses nor results.
    "report": SHOWN | {"cohort", "compare", "estimands", "faults", "priors", "simulate", "study"},
    "version": set(),
    "views": set(),
    "cli": None,
    "console": set(),
    "__init__": None,
}
EVERYWHERE = {"arguments", "errors", "files", "lazy", "own_order", "records", "words"}
ARRAYS_ONLY = {"likelihood", "inference"}

# Slow to import: only inside the functions that need them.
HEAVY = {
    "arviz", "arviz_base", "arviz_plots", "arviz_stats", "joblib", "lifelines", "matplotlib",
    "nutpie", "pymc", "pytensor", "statsmodels", "xarray",
}  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One imported module, where it stands and whether it runs when its file is imported."""

    module: str
    line: int
    at_top: bool


def imports(source: str, package: str) -> list[Import]:
    """Every import in a file of `package`, leaving out those that only type checkers read."""

    def modules(node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                if level:
                    above = package.split(".")[: len(package.split(".")) - level + 1]
                    module = ".".join([*above, module] if module else above)
                # `from longsurv import priors` is an import of longsurv.priors.
                yield from (f"{module}.{a.name}" if module == "longsurv" else module for a in names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield module

    def walk(node: ast.AST, at_top: bool) -> Iterator[Import]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                yield from walk(child, at_top)
            return
        for module in modules(node):
            yield Import(module, node.lineno, at_top)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, at_top and not inside)

    return list(walk(ast.parse(source), at_top=True))


def problems(source: str, layer: str, package: str) -> list[str]:
    """What is wrong with the imports of one file that belongs to `layer`."""
    if layer not in ALLOWED:
        return [f"{layer} has no rule: say in tests/test_imports.py what it may import"]
    allowed = ALLOWED[layer]
    always = {layer, *EVERYWHERE}
    found = []
    for item in imports(source, package):
        top, _, rest = item.module.partition(".")
        if top == "longsurv":
            target = rest.split(".")[0]
            known = target in ALLOWED or target == "examples"
            if not known:
                found.append(f"{item.line}: take {target or top!r} from the module it lives in")
            elif allowed is not None and target not in allowed | always:
                found.append(f"{item.line}: {layer} must not import longsurv.{target}")
        elif top == "pandas" and layer in ARRAYS_ONLY:
            found.append(f"{item.line}: {layer} sees arrays only, not pandas")
        elif top in HEAVY and item.at_top:
            found.append(f"{item.line}: import {top} inside the function that needs it")
    return found


def source_files() -> Iterator[tuple[Path, str, str]]:
    """Every file of the package with its layer and the package it is in."""
    for folder, prefix in [(ROOT / "src/longsurv", ()), (ROOT / "models", ("models",))]:
        for path in sorted(folder.rglob("*.py")):
            parts = (*prefix, *path.relative_to(folder).with_suffix("").parts)
            yield path, parts[0], ".".join(("longsurv", *parts[:-1]))


def test_imports_go_in_the_right_directions() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{problem}"
        for path, layer, package in source_files()
        for problem in problems(path.read_text(encoding="utf-8"), layer, package)
    ]
    assert not found, "\n" + "\n".join(found)


def test_every_file_of_the_package_is_read() -> None:
    layers = {layer for _, layer, _ in source_files()}
    assert {"likelihood", "inference", "models", "cohort", "__init__"} <= layers


@pytest.mark.parametrize(
    ("layer", "source", "complaint"),
    [
        ("likelihood", "import pandas as pd", "arrays only"),
        ("likelihood", "def f():\n    from pandas import DataFrame", "2: likelihood sees arrays"),
        ("likelihood", "from longsurv.inference import maximise", "longsurv.inference"),
        ("likelihood", "from ..inference import maximise", "longsurv.inference"),
        ("likelihood", "from .. import design", "longsurv.design"),
        ("inference", "from longsurv import models", "longsurv.models"),
        ("inference", "def f():\n    import longsurv.likelihood.lmm", "longsurv.likelihood"),
        ("diagnostics", "def f():\n    from longsurv.results import Estimate", "longsurv.results"),
        ("estimands", "from longsurv.models import LMM", "longsurv.models"),
        ("results", "from importlib import import_module as _\nimport_module('longsurv.study')",
         "2: results must not import longsurv.study"),
        ("cohort", "from longsurv.results import Estimate", "longsurv.results"),
        ("models", "from longsurv.report import page", "longsurv.report"),
        ("study", "def f():\n    from longsurv.report import page", "longsurv.report"),
        ("simulate", "from longsurv.report.page import render_page", "longsurv.report"),
        ("report", "from longsurv.models import LMM", "longsurv.models"),
        ("study", "from longsurv import __version__", "take '__version__' from the module"),
        ("models", "from longsurv import Cohort", "take 'Cohort' from the module it lives in"),
        ("models", "import longsurv as ls", "from the module it lives in"),
        ("models", "import pymc as pm", "import pymc inside"),
        ("models", "try:\n    import numpy, nutpie\nfinally:\n    pass", "2: import nutpie inside"),
        ("models", "class A:\n    from matplotlib import pyplot", "2: import matplotlib inside"),
        ("study", "if True:\n    import arviz_stats", "import arviz_stats inside"),
        ("misc", "", "no rule"),
    ],
)  # fmt: skip
def test_the_checker_sees_wrong_imports(layer: str, source: str, complaint: str) -> None:
    found = problems(source, layer, f"longsurv.{layer}")
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("likelihood", "import numba\nfrom longsurv.errors import EstimationError"),
        ("likelihood", "from . import covariance\nfrom .lmm import LMMKernel"),
        ("models", "def to_pymc():\n    import pymc as pm"),
        ("models", "from longsurv.likelihood import lmm\nfrom longsurv.models.lmm import LMM"),
        ("models", "if TYPE_CHECKING:\n    import pymc\n    from longsurv.study import Study"),
        ("study", "from longsurv import models, numbers, views"),
    ],
)
def test_the_checker_lets_right_imports_pass(layer: str, source: str) -> None:
    assert problems(source, layer, f"longsurv.{layer}") == []


def imported() -> tuple[float, set[str]]:
    """Seconds of processor time that `import longsurv` takes, and the modules it brings.

    The clock on the wall would count what else the machine does.
    """
    code = (
        "import sys, time; begun = time.process_time(); import longsurv;"
        " print(time.process_time() - begun, *sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    seconds, *modules = result.stdout.split()
    return float(seconds), set(modules)


def test_importing_longsurv_is_quick_and_brings_no_other_package() -> None:
    runs = [imported() for _ in range(3)]
    assert min(seconds for seconds, _ in runs) < 0.3

    site = Path(sysconfig.get_path("purelib"))
    installed = {path.stem for path in site.iterdir() if not path.name.startswith(("_", "."))}
    brought = {name.split(".")[0] for name in runs[0][1]}
    assert {"numpy", "pandas", "pymc", "matplotlib"} <= installed  # else the next line is empty
    assert not brought & (installed | HEAVY) - {"longsurv"}


def test_a_maximum_likelihood_fit_does_not_import_pymc() -> None:
    """Nor all of SciPy's distributions, which take longer to import than a fit to compute."""
    code = """
import sys
import numpy as np, pandas as pd
from longsurv.models import GLMM, LMM, CoxPH
g, x = np.repeat(range(6), 5), np.arange(30.0)
data = pd.DataFrame({"g": g, "x": x, "y": 0.5 * x + np.sin(9.0 * g) + np.cos(5.0 * x)})
print(len(LMM("y ~ x + (1 | g)", data=data).fit().tidy()))
data = data.assign(x=np.sin(2.0 * x), high=[1, 1, 0] * 10, count=[0, 1, 3] * 10, t=1.0 + x)
CoxPH("Surv(t, high) ~ x", data).fit().global_tests()
for response, family in {"high": "bernoulli", "count": "poisson"}.items():
    GLMM(f"{response} ~ x + (1 | g)", data, family=family).fit().tidy()
print(*{name.split(".")[0] for name in sys.modules}, *({"scipy.stats"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    rows, modules = result.stdout.splitlines()
    assert int(rows) >= 2
    unwanted = {"pymc", "pytensor", "arviz", "nutpie", "matplotlib", "scipy.stats"}
    assert not set(modules.split()) & unwanted


def test_what_only_a_climb_needs_is_not_imported_before_one() -> None:
    """`longsurv check` names the models and makes their designs, and climbs nowhere."""
    code = "import sys, longsurv.models, longsurv.cli.check, longsurv.study; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "longsurv.models" in modules
    assert not {"scipy.optimize", "scipy.interpolate", "scipy.stats"} & set(modules)


PACKAGES = [longsurv, longsurv.estimands, longsurv.diagnostics, longsurv.study]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.__name__)
def test_public_names_agree_with_where_they_live(package: ModuleType) -> None:
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    typed = [
        alias.name
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    own = {"__version__"} & set(package.__all__)
    assert sorted([*typed, *own]) == sorted(package.__all__) == dir(package)
    assert all(getattr(package, name) is not None for name in package.__all__)


@pytest.mark.parametrize("package", PACKAGES[1:], ids=lambda p: p.__name__)
def test_the_table_in_the_help_lists_every_public_name(package: ModuleType) -> None:
    listed = [line.split()[0] for line in str(package.__doc__).splitlines() if line[:4] == "    "]
    assert sorted(listed) == sorted(package.__all__)


def test_names_are_listed_in_a_fresh_process_and_are_not_their_modules() -> None:
    code = """
import longsurv as ls
assert "gray_test" in dir(ls.estimands) and "cox_zph" in dir(ls.diagnostics)
import longsurv.estimands.landmark, longsurv.diagnostics.concordance
ls.estimands.landmark.__code__, ls.diagnostics.concordance.__code__
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.__name__)
def test_a_module_called_like_a_public_name_is_where_it_lives(package: ModuleType) -> None:
    """Otherwise importing that module first would import the other one, half made."""
    for name, home in package._homes.items():
        module, _, attribute = home.partition(":")
        called = f"{package.__name__}.{name}"
        assert not attribute or module == called or find_spec(called) is None, name


@pytest.mark.parametrize("name", longsurv.__all__)
def test_public_name_can_be_used(name: str) -> None:
    assert getattr(longsurv, name) is not None


def test_compare_stays_the_function_when_its_module_is_imported_first() -> None:
    code = "import longsurv.compare, longsurv; longsurv.compare.__code__"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_misspelled_public_name_gets_a_suggestion() -> None:
    with pytest.raises(AttributeError, match=r"no 'Cohrot'\. Did you mean 'Cohort'\?"):
        _ = longsurv.Cohrot
