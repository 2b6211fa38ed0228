# Newton steps by Richardson derivatives, from a point close to the minimum. The shift makes
# numDeriv take the same absolute step for every parameter: its relative steps are lost in rounding
# for a parameter near zero.
newton <- function(fn, par, steps = 8, lower = rep(-Inf, length(par)), step_size = 0.01) {
  shifted <- function(u) fn(par + u - 1)
  one <- rep(1, length(par))
  for (step in seq_len(steps)) {
    hessian <- numDeriv::hessian(shifted, one, method.args = list(d = step_size))
    gradient <- numDeriv::grad(shifted, one, method.args = list(d = step_size))
    if (inherits(try(chol(hessian), silent = TRUE), "try-error")) break
    move <- solve(hessian, gradient)
    if (max(abs(move)) > 0.05 || any(par - move < lower)) break
    par <- par - move
    if (max(abs(move)) < 1e-9) break
  }
  list(par = par, hessian = hessian, move = move)
}

# An optimiser for lme4: bobyqa, then Newton steps by Richardson derivatives on the parameters
# inside their bounds, so that theta is right to about 1e-9 rather than the 1e-5 of lme4's default
# stopping rule.
polished <- function(fn, par, lower, upper, control = list()) {
  lower <- rep_len(lower, length(par))
  upper <- rep_len(upper, length(par))
  rough <- nloptr::nloptr(par, fn, lb = lower, ub = upper,
                          opts = list(algorithm = "NLOPT_LN_BOBYQA", xtol_rel = 1e-12,
                                      ftol_rel = 1e-15,
                                      maxeval = 1e5))
  par <- rough$solution
  free <- is.infinite(lower) | par > lower + 1e-4
  par[!free] <- lower[!free]
  if (any(free)) {
    inner <- function(x) fn(replace(par, free, x))
    size <- min(0.01, par[free & is.finite(lower)] / 4)
    par[free] <- newton(inner, par[free], lower = lower[free], step_size = size)$par
  }
  list(par = par, fval = fn(par), conv = 0, message = "polished")
}
polished_control <- function() lme4::lmerControl(optimizer = "polished", calc.derivs = FALSE,
                                                 check.conv.singular = "ignore")
