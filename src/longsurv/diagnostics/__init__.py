"""Can the answer be trusted? Verdicts in words, with the numbers behind them."""

from longsurv.diagnostics.convergence import Verdict

__all__ = ["Verdict"]
