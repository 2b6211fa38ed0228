"""Log-likelihood kernels: arrays and a parameter vector in, value and gradient out."""

from longsurv.compiling import compile_lightly

compile_lightly()  # before the first kernel is
