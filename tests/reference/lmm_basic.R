# Linear mixed models by lme4: REML and ML. Reads sites.csv and sleepstudy_gaps.csv; writes
# lmm_basic.csv, sleepstudy.csv, dyestuff.csv, dyestuff2.csv.
source("tests/reference/common.R")
source("tests/reference/polished.R")
suppressMessages({library(lme4); library(survival)})

record <- function(model, fit) {
  s <- summary(fit)$coefficients
  note(model, "coef", fixef(fit))
  note(model, "se", s[, "Std. Error"], rownames(s))
  note_matrix(model, "vcov", as.matrix(vcov(fit)))
  vc <- as.data.frame(VarCorr(fit))
  several <- length(getME(fit, "flist")) > 1
  for (i in seq_len(nrow(vc))) {
    pair <- !is.na(vc$var2[i])
    label <- if (vc$grp[i] == "Residual") "residual" else
      if (pair) paste(vc$var1[i], vc$var2[i], sep = " | ") else vc$var1[i]
    if (several && label != "residual") label <- paste(vc$grp[i], label, sep = ".")
    note(model, if (pair) "correlation" else "sd", vc$sdcor[i], label)
    note(model, if (pair) "covariance" else "variance", vc$vcov[i], label)
  }
  note(model, "theta", getME(fit, "theta"), names(getME(fit, "theta")))
  if (isREML(fit)) note(model, "reml_criterion", REMLcrit(fit)) else note(model, "deviance",
      deviance(fit))
  note(model, "loglik", logLik(fit))
  note(model, "df_model", attr(logLik(fit), "df"))
  note(model, "aic", AIC(fit))
  note(model, "bic", BIC(fit))
  note(model, "nobs", nobs(fit))
  note(model, "singular", isSingular(fit))
}

both <- function(model, formula, data) {
  for (reml in c(TRUE, FALSE))
    record(paste(model, if (reml) "reml" else "ml", sep = "_"),
           lmer(formula, data, REML = reml, control = polished_control()))
}

write_data(sleepstudy, "sleepstudy")
write_data(Dyestuff, "dyestuff")
write_data(Dyestuff2, "dyestuff2")

both("sleepstudy", Reaction ~ Days + (Days | Subject), sleepstudy)
both("sleepstudy_intercept", Reaction ~ Days + (1 | Subject), sleepstudy)
both("sleepstudy_uncorrelated", Reaction ~ Days + (Days || Subject), sleepstudy)
both("sleepstudy_slope_only", Reaction ~ Days + (0 + Days | Subject), sleepstudy)
both("dyestuff", Yield ~ 1 + (1 | Batch), Dyestuff)
both("dyestuff2", Yield ~ 1 + (1 | Batch), Dyestuff2)

# The help page of pbcseq says trt is 1/2, its data are 1/0: 1 = D-penicillamine, 0 = placebo (as
# pbc, id by id).
baseline <- merge(unique(pbcseq[c("id", "trt")]), pbc[c("id", "trt")], by = "id")
stopifnot(all((baseline$trt.x == 1) == (baseline$trt.y == 1)))
visits <- transform(pbcseq, year = day / 365.25,
                 drug = factor(trt, levels = c(0, 1), labels = c("placebo", "D-penicil")))
both("pbc", log(bili) ~ year * drug + (year | id), visits)
both("pbc_intercept", log(bili) ~ year * drug + (1 | id), visits)

sites <- read_data("sites")
both("sites_nested", y ~ time * treated + (1 | site / id), sites)
both("sites_nested_slope", y ~ time * treated + (1 | site) + (time | site:id), sites)
gaps <- read_data("sleepstudy_gaps")
both("gaps", Reaction ~ Days + (Days | Subject), gaps)

write_rows("lmm_basic")
