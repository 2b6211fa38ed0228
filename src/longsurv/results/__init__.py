"""What a model answers: frozen estimates and posteriors with one table grammar."""

from longsurv.results.estimate import Estimate
from longsurv.results.posterior import Posterior

__all__ = ["Estimate", "Posterior"]
