"""Log-likelihood kernels: arrays and a parameter vector in, value and gradient out."""
