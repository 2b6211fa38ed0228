"""Time a model of another Python package, in an environment that has it.

    python peers.py TOOL data.csv formula repeats [kind]

TOOL is mixedlm or interlace, whose kind is the family ("poisson") or nothing; or greenwood or
survival, whose kind is "cox", "gamma" (site effects) or "fine-gray". `timing.peer_seconds` runs it
by the Python that LONGSURV_PEERS names, since these packages are not among those that longsurv is
tested with. Prints "tool,rows,seconds,value", where the value is the log-likelihood or the first
coefficient; the first fit, which loads and compiles, is not counted.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections.abc import Callable

import pandas as pd


def by_mixedlm(formula: str, data: pd.DataFrame, family: str) -> float:
    """A mixed model, or a generalised one."""
    import mixedlm

    if family:
        kind = getattr(mixedlm.families, family.capitalize())()
        fit = mixedlm.glmer(formula, data, family=kind)
    else:
        fit = mixedlm.lmer(formula, data)
    return float(fit.logLik().value)


def by_interlace(formula: str, data: pd.DataFrame, family: str) -> float:
    """The same; its formula has the fixed effects alone."""
    import interlace

    random = re.findall(r"\([^()]*\|[^()]*\)", formula)
    fixed = re.split(r"\s*\+\s*\([^()]*\|", formula)[0]
    if family:
        return float(interlace.glmer(fixed, data, family=family, random=random).llf)
    return float(interlace.fit(fixed, data, random=random).llf)


def covariates_of(formula: str) -> list[str]:
    """The names on the right of a formula, without effects of sites."""
    right = re.sub(r"\+?\s*\([^()]*\|[^()]*\)", "", formula.split("~")[1])
    return [name.strip() for name in right.split("+")]


def by_greenwood(formula: str, data: pd.DataFrame, kind: str) -> float:
    """Cox's model, with gamma effects of sites, or Fine and Gray's."""
    import greenwood

    X = data[covariates_of(formula)]
    if kind == "fine-gray":
        status = pd.Categorical(data["status"].map({0: "censored", 1: "event", 2: "other"}),
                                categories=["censored", "event", "other"])  # fmt: skip
        fit = greenwood.FineGray("event").fit(greenwood.Surv(data["time"], event=status), X)
    else:
        response = greenwood.Surv(data["time"], event=data["event"])
        more = {"frailty": "gamma", "frailty_cluster": data["site"]} if kind == "gamma" else {}
        fit = greenwood.CoxPH(ties="breslow" if more else "efron").fit(response, X, **more)
    return float(fit.coef_[0])


def by_survival(formula: str, data: pd.DataFrame, kind: str) -> float:
    """Cox's model."""
    import survival

    if kind != "cox":
        raise ValueError(f"not measured: {kind}")
    return float(next(iter(survival.coxph(formula, data=data).coefficients)))


TOOLS: dict[str, Callable[[str, pd.DataFrame, str], float]] = {
    "mixedlm": by_mixedlm,
    "interlace": by_interlace,
    "greenwood": by_greenwood,
    "survival": by_survival,
}


def main() -> None:
    """Time it."""
    tool, path, formula, repeats, *kind = sys.argv[1:]
    data, times = pd.read_csv(path), []
    fit = TOOLS[tool]
    value = fit(formula, data, "".join(kind))
    for _ in range(int(repeats)):
        began = time.perf_counter()
        fit(formula, data, "".join(kind))
        times.append(time.perf_counter() - began)
    print(f"{tool},{len(data)},{statistics.median(times)},{value}")


if __name__ == "__main__":
    main()
