"""Climb, curve and sample a log density. Nothing here knows what the density is of."""

from longsurv.compiling import compile_lightly
from longsurv.inference.coordinates import Affine
from longsurv.inference.curvature import Whitening, hessian, whiten
from longsurv.inference.density import added
from longsurv.inference.identify import Flat, Identified, identify
from longsurv.inference.maximise import Optimum, maximise
from longsurv.inference.posterior import drawn, outward, sample_posterior
from longsurv.inference.quadrature import MOST_PARAMETERS, draw_by_quadrature
from longsurv.inference.sample import Draws, sample

__all__ = [
    "MOST_PARAMETERS",
    "Affine",
    "Draws",
    "Flat",
    "Identified",
    "Optimum",
    "Whitening",
    "added",
    "draw_by_quadrature",
    "drawn",
    "hessian",
    "identify",
    "maximise",
    "outward",
    "sample",
    "sample_posterior",
    "whiten",
]

compile_lightly()  # before the first kernel is
