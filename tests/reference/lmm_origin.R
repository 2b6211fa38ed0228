# Mixed models of time centred at its mean (lme4, lmerTest, pbkrtest): what they must be in calendar
# years too. Reads visits.csv and survival's pbcseq; writes lmm_origin.csv.
source("tests/reference/common.R")
source("tests/reference/polished.R")
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)})

record <- function(model, formula, data, kenward_roger) {
  data$time <- data$time - mean(data$time)
  environment(formula) <- environment()
  ml <- lme4::lmer(formula, data, REML = FALSE, control = polished_control())
  note(model, "loglik", as.numeric(logLik(ml)))
  note(model, "ml_coef", fixef(ml))
  note(model, "ml_se", sqrt(diag(as.matrix(vcov(ml)))), names(fixef(ml)))
  reml <- eval(bquote(lmerTest::lmer(.(formula), data = data, control = polished_control())))
  note(model, "reml_coef", fixef(reml))
  note(model, "reml_se", sqrt(diag(as.matrix(vcov(reml)))), names(fixef(reml)))
  p <- length(fixef(reml))
  for (k in seq_len(p)) {
    L <- diag(p)[k, ]
    name <- names(fixef(reml))[k]
    note(model, "satterthwaite_df", contest1D(reml, L, ddf = "Satterthwaite")[["df"]], name)
    if (kenward_roger) {
      kr <- KRmodcomp(reml, matrix(L, 1))$stats
      note(model, "kr_df", kr$ddf, name)
      note(model, "kr_f", kr$Fstat, name)
    }
  }
}

visits <- read_data("visits")
visits$time <- visits$day
record("visits", y ~ time * arm + (time | patient), visits, TRUE)

pbc <- survival::pbcseq
pbc$time <- pbc$day / 365.25
record("pbc", log(bili) ~ time * trt + (time | id), pbc, FALSE)

write_rows("lmm_origin")
