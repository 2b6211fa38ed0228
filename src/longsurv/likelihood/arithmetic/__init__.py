"""Small-matrix and vector arithmetic that kernels share."""
