"""Formulas that try to run something: none does, from Python or from a study file.

An audit hook watches the interpreter: no attack starts a process, opens a file for writing, reads a
secret, connects anywhere or imports what was not there. Every one is refused with a sentence, in
little time and memory.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bad_studies import STUDY, good

from longsurv import cli
from longsurv.design import mixed_design, parse, survival_design
from longsurv.design.expression import expression
from longsurv.design.fixed import fixed_design, response
from longsurv.design.specials import take_out_specials
from longsurv.design.terms import terms
from longsurv.errors import LongsurvError

SECONDS = 5.0

CODE = r"""
__import__("os").system("touch CANARY")
I(__import__("os").system("touch CANARY"))
I(__import__("subprocess").run(["touch", "CANARY"]))
eval("__import__('os').system('touch CANARY')")
I(eval("1"))
exec("import os")
I(exec("open('CANARY', 'w')"))
compile("1", "", "eval")
I(open("CANARY", "w"))
open("CANARY", "w").write("x")
I(open("CANARY", "w").write("x"))
open("/etc/passwd").read()
I(input())
breakpoint()
globals()["__builtins__"]
I(globals())
locals()
vars()
dir()
help()
exit()
quit()
print("x", file=open("CANARY", "w"))
getattr(age, "to_csv")("CANARY")
setattr(age, "x", 1)
delattr(age, "x")
type(age)
type("X", (), {})
object.__subclasses__()
().__class__.__bases__[0].__subclasses__()
I(().__class__.__bases__[0].__subclasses__())
"".__class__.__mro__[1].__subclasses__()
age.__class__
age.to_csv("CANARY")
I(age.to_csv("CANARY"))
age.to_pickle("CANARY")
I(age.values.tofile("CANARY"))
age.map(open)
age.apply(eval)
I(age.apply(lambda v: open("CANARY", "w")))
age.pipe(print)
age.str.len()
age.iloc[0]
age[:3]
age[0]
I(age[age > 1])
np
I
C
bs
contr
np.savetxt("CANARY", age)
I(np.savetxt("CANARY", age))
np.save("CANARY", age)
np.fromfile("/etc/passwd")
np.loadtxt("/etc/passwd")
np.load("CANARY", allow_pickle=True)
np.memmap("CANARY", mode="w+", shape=10)
np.f2py.os.system("touch CANARY")
np.lib.npyio.os.system("touch CANARY")
np.ctypeslib.load_library("x", ".")
np.distutils.exec_command("touch CANARY")
np.vectorize(eval)("1")
np.apply_along_axis(eval, 0, age)
np.frompyfunc(eval, 1, 1)("1")
np.__loader__
np.__builtins__
np.linalg.__builtins__
np.log.__class__
np.log(age, out=age)
np.log(age, where=age > 1)
log(age, age)
log(age, **{"out": age})
log(*[age])
exp(age, dtype="object")
(lambda: open("CANARY", "w"))()
I((lambda: open("CANARY", "w"))())
(lambda: __import__("os").system("touch CANARY"))()()
[open("CANARY", "w") for _ in "a"]
I([open("CANARY", "w") for _ in "a"])
I({open("CANARY", "w")})
I({k: open("CANARY", "w") for k in "a"})
I(sum(v for v in age))
I((x := open("CANARY", "w")))
I(f"{__import__('os').system('touch CANARY')}")
I(f"{age!r}")
I("%s" % age)
I("x" * 10**9)
I("{0.__class__}".format(age))
{__import__("os").system("touch CANARY")}
{open("CANARY", "w")}
I(age if open("CANARY", "w") else age)
I(age and open("CANARY", "w"))
I(not open("CANARY", "w"))
I(yield_ := 1)
I(await age)
I(...)
I(b"x")
I(1j)
C(age, open("CANARY", "w"))
C(age, contr.__class__)
C(age, contr.custom(open("CANARY", "w")))
C(age, levels=open("/etc/passwd"))
C(age, {"a": open("CANARY", "w")})
bs(age, knots=open("/etc/passwd"))
bs(age, df=__import__("os").getpid())
poly(age, _state=open("CANARY", "w"))
scale(age, _spec=1)
Q("__builtins__")
hashed(age, levels=10**9)
lag(age, 10**9)
cr(age, df=4, constraints=open("CANARY", "w"))
"""

COSTLY = r"""
I(10**10**10)
I(age**10**10**10)
I(9**9**9**9)
I(2**(2**(2**(2**(2**2)))))
I(1e308 * 10**308)
bs(age, df=10**9)
bs(age, degree=10**6, df=10**7)
poly(age, 10**9)
poly(age, degree=10**8)
ns(age, df=10**9)
rcs(age, 10**9)
cr(age, df=10**8)
(age + sex + a + b)**1000000000
(age + sex + a + b + c + d + e + f + g + h + i + j + k)**12
age * a * b * c * d * e * f * g * h * i * j * k * l * m * n * o * p * q * r * s * t * u
"""

CODES = [line for line in CODE.strip().splitlines() if line]
COSTS = [
    *(line for line in COSTLY.strip().splitlines() if line),
    "I(" * 3000 + "age" + ")" * 3000,
    "(" * 20000 + "age" + ")" * 20000,
    "I(" + "-" * 20000 + "age)",
    "I(" + "+".join(["age"] * 20000) + ")",
    "I(" + "9" * 20000 + ")",
    "age + " * 100000 + "age",
    "log(" * 500 + "age" + ")" * 500,
    "`" + "x" * 100000,
    "age:" * 20000 + "age",
]


class Watch:
    """What the interpreter did while somebody looked."""

    seen: list[str] | None = None


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    watched = Watch.seen
    if watched is None:
        return
    if event == "open":
        path, mode, flags = (*arguments, None, None)[:3]
        writes = isinstance(mode, str) and set(mode) & set("wax+")
        if writes or str(path) in ("/etc/passwd", "CANARY"):
            watched.append(f"open {path} {mode} {flags}")
    elif event in ("exec", "os.system", "import", "socket.connect") or event.startswith(
        ("subprocess", "os.exec", "os.posix_spawn", "os.fork", "ctypes", "pty", "shutil")
    ):
        if event == "exec" and getattr(arguments[0], "co_filename", "") != "":
            return  # what Python itself runs, of a file
        if event == "import" and not str(arguments[0]).startswith(("os", "subprocess", "ctypes")):
            return
        watched.append(f"{event} {arguments}")


sys.addaudithook(_watch)


@contextmanager
def nothing_happens(folder: Path) -> Iterator[None]:
    before, start = sorted(folder.iterdir()), time.perf_counter()
    seen = Watch.seen = []
    try:
        yield
    finally:
        Watch.seen, took = None, time.perf_counter() - start
    assert seen == [] and sorted(folder.iterdir()) == before
    assert took < SECONDS


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({name: rng.normal(size=30) for name in "abcdefghijklmnopqrstu"})
    frame["age"], frame["sex"] = rng.uniform(40, 80, 30), np.tile(["f", "m"], 15)
    frame["id"], frame["time"], frame["dead"] = np.repeat(np.arange(10), 3), 1.0 + frame.index, 1
    return frame


PLACES: dict[str, Callable[[str, pd.DataFrame], object]] = {
    "right": lambda attack, data: fixed_design(attack, data),
    "left": lambda attack, data: response(attack, data),
    "mixed": lambda attack, data: mixed_design(f"a ~ b + {attack} + (1 | id)", data),
    "random": lambda attack, data: mixed_design(f"a ~ b + ({attack} | id)", data),
    "group": lambda attack, data: mixed_design(f"a ~ b + (1 | {attack})", data),
    "survival": lambda attack, data: survival_design(f"Surv(time, dead) ~ a + {attack}", data),
    "times": lambda attack, data: survival_design(f"Surv({attack}, dead) ~ a", data),
    "offset": lambda attack, data: survival_design(f"Surv(time, dead) ~ offset({attack})", data),
    "strata": lambda attack, data: survival_design(f"Surv(time, dead) ~ strata({attack})", data),
}


def test_there_are_a_hundred():
    assert len(set(CODES)) >= 100


@pytest.mark.parametrize("attack", [*CODES, *COSTS], ids=lambda a: a[:40])
def test_from_python(attack, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = data.copy()
    turn = [*CODES, *COSTS].index(attack)
    others = list(PLACES)[2:]
    for name in ("right", "left", others[turn % len(others)]):  # every place, every kind
        place = PLACES[name]
        with nothing_happens(tmp_path):
            try:
                place(attack, data)
            except LongsurvError as error:
                assert len(str(error)) < 3000
            else:
                assert attack in COSTS  # some are long and no harm
    pd.testing.assert_frame_equal(data, before)


KEYS = ["mortality", "trajectory", "joint_trajectory"]
SOME = [(key, [*CODES, *COSTS][k::36]) for k, key in enumerate(KEYS)]
ALL = [pytest.param(key, [*CODES, *COSTS], marks=pytest.mark.study) for key in KEYS]


@pytest.mark.parametrize(("key", "attacks"), [*SOME, *ALL])
def test_from_a_study_file(key, attacks, tmp_path, monkeypatch, capsys):
    """`longsurv check` on somebody's study: exit code 1 and a sentence, for every attack."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    good().write(tmp_path / "study")
    path = tmp_path / "study" / "study.toml"
    rest = "" if key == "mortality" else " + (1 | patient)"
    lines = STUDY.splitlines()
    assert cli.main(["check", str(path)]) == 0  # imports what it needs
    for attack in attacks:
        toml = attack.replace("\\", "\\\\").replace('"', '\\"')
        text = [
            f'{key} = "treatment + {toml}{rest}"' if line.startswith(f"{key} =") else line
            for line in lines
        ]
        path.write_text("\n".join(text), encoding="utf-8")
        capsys.readouterr()
        with nothing_happens(tmp_path):
            assert cli.main(["check", str(path)]) == 1, attack
        assert "Traceback" not in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["study"]


def test_nothing_is_compiled_or_executed():
    """The modules that read formulas parse them and walk the tree, no more."""
    folder = Path(sys.modules["longsurv.design.fixed"].__file__ or "").parent
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}, file


def code_of(file: Path) -> str:
    """What a file has that may hold formulas: of a notebook its code, of others everything."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".ipynb":
        return text
    return "\n".join(
        "".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"
    )


def test_every_formula_of_the_documents_is_read():
    root, count = Path(__file__).parents[2], 0
    files = [root / "README.md", *(root / "docs").rglob("*.md"), *(root / "examples").rglob("*")]
    for file in files:
        if file.suffix not in (".md", ".py", ".toml", ".ipynb") or "_build" in file.parts:
            continue
        text = code_of(file).replace('\\"', '"')
        sides = re.findall(r'(?:trajectory|mortality)\s*=\s*"([^"\n]+)"', text)
        whole = [t for t in re.findall(r'"([^"\n{]*~[^"\n{]*)"', text) if not t.startswith("~")]
        for formula in [*whole, *(f"y ~ {side}" for side in sides)]:
            parsed, _ = take_out_specials(parse(formula))
            if parsed.response:
                expression(parsed.response)
            for right in (parsed.fixed, *(term.effects for term in parsed.random)):
                assert len(terms(right)) > 0 or right == "0"
            count += 1
    assert count >= 10
