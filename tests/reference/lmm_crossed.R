# Mixed models with several groupings, crossed and nested (lme4), with Kenward-Roger (pbkrtest) and
# Satterthwaite (lmerTest). Reads the data of make_data.R; writes lmm_crossed.csv.
source("tests/reference/common.R")
source("tests/reference/lmm_tests.R")

record <- function(model, formula, data, joint = list()) {
  call <- bquote(fit_reml(.(formula), data))
  fit <- eval(call)
  record_tests(model, fit, joint)
  record_blups(model, fit)
  note(model, "fitted", fitted(fit), seq_len(nobs(fit)))
  ml <- eval(bquote(lme4::lmer(.(formula), data, REML = FALSE, control = polished_control())))
  note(model, "ml_loglik", logLik(ml))
  note(model, "ml_coef", fixef(ml), names(fixef(ml)))
  note(model, "ml_theta", getME(ml, "theta"), names(getME(ml, "theta")))
  note(model, "ml_sigma", sigma(ml))
}

record("penicillin", diameter ~ 1 + (1 | plate) + (1 | sample), read_data("penicillin"))
pastes <- read_data("pastes")
record("pastes", strength ~ 1 + (1 | batch / cask), pastes)
record("pastes_sample", strength ~ 1 + (1 | sample) + (1 | batch), pastes)
raters <- read_data("raters")
raters$patient <- factor(raters$patient)
record("raters", y ~ treated + dose + (1 | patient) + (1 | rater), raters,
       list(both = diag(3)[-1, ]))
record("raters_slope", y ~ treated * dose + (dose | patient) + (1 | rater), raters,
       list(dose = diag(4)[3:4, ]))
record("raters_two_slopes", y ~ treated * dose + (1 | patient) + (0 + treated || rater) +
         (1 | rater), raters)
write_rows("lmm_crossed")
