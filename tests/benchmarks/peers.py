"""Time a mixed model of another Python package, in an environment that has it.

    python peers.py {mixedlm,interlace,statsmodels} data.csv formula repeats [family]

`timing.peer_seconds` runs it by the Python that LONGSURV_PEERS names, since these packages are not
among those that longsurv is tested with. Prints "tool,rows,seconds,log-likelihood"; the first fit,
which loads and compiles, is not counted.
"""

from __future__ import annotations

import re
import statistics
import sys
import time

import pandas as pd


def fitted(tool: str, formula: str, data: pd.DataFrame, family: str):
    """The fit, and its log-likelihood."""
    if tool == "mixedlm":
        import mixedlm

        if not family:
            fit = mixedlm.lmer(formula, data)
        elif family == "nbinom2":
            fit = mixedlm.glmer_nb(formula, data)
        else:
            kind = getattr(mixedlm.families, family.capitalize())()
            fit = mixedlm.glmer(formula, data, family=kind)
        return float(fit.logLik().value)
    import interlace

    # Its formula has the fixed effects alone.
    random = re.findall(r"\([^()]*\|[^()]*\)", formula)
    fixed = re.split(r"\s*\+\s*\([^()]*\|", formula)[0]
    if family:
        kind = {"nbinom2": "negativebinomial"}.get(family, family)
        return float(interlace.glmer(fixed, data, family=kind, random=random).llf)
    return float(interlace.fit(fixed, data, random=random).llf)


def main() -> None:
    """Time it."""
    tool, path, formula, repeats, *family = sys.argv[1:]
    data, times = pd.read_csv(path), []
    value = fitted(tool, formula, data, "".join(family))
    for _ in range(int(repeats)):
        began = time.perf_counter()
        fitted(tool, formula, data, "".join(family))
        times.append(time.perf_counter() - began)
    print(f"{tool},{len(data)},{statistics.median(times)},{value}")


if __name__ == "__main__":
    main()
