# Kenward-Roger (pbkrtest), Satterthwaite (lmerTest), marginal means (emmeans), profile intervals,
# likelihood-ratio tests, BLUPs, predictions and leave-one-out refits. Reads the data of
# make_data.R; writes lmm_kr.csv.
source("tests/reference/common.R")
source("tests/reference/lmm_tests.R")
suppressMessages(library(emmeans))
emm_options(opt.digits = FALSE)

# Exact profile-likelihood interval of one fixed effect: maximum likelihood refitted with that
# effect held.
profile_interval <- function(fit, name, level = 0.95) {
  ml <- refitML(fit)
  frame <- model.frame(fit)
  X <- getME(fit, "X")
  y <- getME(fit, "y")
  flist <- findbars(formula(fit))
  theta_fit <- function(b) {
    rest <- X[, colnames(X) != name, drop = FALSE]
    frame$held_y <- y - b * X[, name]
    frame$held_x <- rest
    bars <- paste0("(", vapply(flist, function(f) paste(deparse(f), collapse = ""), ""), ")",
                   collapse = " + ")
    f <- as.formula(paste("held_y ~ 0 + held_x +", bars))
    as.numeric(-2 * logLik(lme4::lmer(f, frame, REML = FALSE, control = polished_control())))
  }
  best <- as.numeric(-2 * logLik(lme4::lmer(formula(fit), frame, REML = FALSE,
                                            control = polished_control())))
  cut <- qchisq(level, 1)
  estimate <- fixef(ml)[[name]]
  s <- sqrt(diag(as.matrix(vcov(ml))))[[name]]
  root <- function(direction) {
    f <- function(b) theta_fit(b) - best - cut
    uniroot(f, sort(estimate + direction * s * c(1, 4)), tol = 1e-9)$root
  }
  c(low = root(-1), high = root(1))
}

record_predictions <- function(model, fit, newdata, label) {
  X <- model.matrix(formula(fit, fixed.only = TRUE)[-2], newdata)
  note(model, "predict_population", predict(fit, newdata, re.form = NA), label)
  note(model, "predict_population_se", sqrt(diag(X %*% as.matrix(vcov(fit)) %*% t(X))), label)
  note(model, "predict_known", predict(fit, newdata), label)
}

# Nakagawa's R2 with random slopes after Johnson (2014): the random variance is the mean of z' D z
# over the rows.
record_r2 <- function(model, fit) {
  fixed <- var(as.vector(getME(fit, "X") %*% fixef(fit)))
  lambda <- getME(fit, "Lambda") * sigma(fit)
  random <- mean(colSums((t(lambda) %*% getME(fit, "Zt"))^2))
  total <- fixed + random + sigma(fit)^2
  note(model, "r2_marginal", fixed / total)
  note(model, "r2_conditional", (fixed + random) / total)
  n <- nobs(fit)
  note(model, "r2_marginal_population_variance", fixed * (n - 1) / n /
       (fixed * (n - 1) / n + random + sigma(fit)^2))
}

record_emmeans <- function(model, fit, a, b) {
  for (df in c("kenward-roger", "satterthwaite")) {
    means <- emmeans(fit, as.formula(paste("~", a, "*", b)), lmer.df = df, lmerTest.limit = 1e5,
                     pbkrtest.limit = 1e5)
    put <- function(table, what, label) {
      for (q in intersect(c("emmean", "estimate", "SE", "df", "lower.CL", "upper.CL", "t.ratio",
                            "p.value"), names(table)))
        note(model, paste(df, what, q), table[[q]], label)
    }
    m <- as.data.frame(summary(means, infer = TRUE))
    put(m, "mean", paste(m[[a]], m[[b]], sep = " : "))
    within <- as.data.frame(summary(contrast(means, "revpairwise", by = b), infer = TRUE,
                                    adjust = "none"))
    put(within, paste(a, "within", b), paste(within$contrast, within[[b]], sep = " : "))
    between <- as.data.frame(summary(contrast(means, "revpairwise", by = a), infer = TRUE,
                                     adjust = "none"))
    put(between, paste(b, "within", a), paste(between$contrast, between[[a]], sep = " : "))
    change <- as.data.frame(summary(contrast(means, interaction = "revpairwise"), infer = TRUE))
    put(change, "difference in change", paste(change[[1]], change[[2]], sep = " : "))
  }
}

# sleepstudy
data(sleepstudy, package = "lme4")
sleep <- fit_reml(Reaction ~ Days + (Days | Subject), sleepstudy)
record_tests("sleepstudy", sleep, list(both = diag(2), days = rows_of(sleep, "Days")))
record_blups("sleepstudy", sleep)
record_r2("sleepstudy", sleep)
record_predictions("sleepstudy", sleep, data.frame(Days = c(0, 5, 12),
                                                   Subject = c("308", "309", "372")),
                   c("Days 0 Subject 308", "Days 5 Subject 309", "Days 12 Subject 372"))
note("sleepstudy", "residual", residuals(sleep), seq_len(nobs(sleep)))
reduced <- as.data.frame(ranova(sleep))
for (q in c("npar", "logLik", "AIC", "LRT", "Df", "Pr(>Chisq)"))
  note("sleepstudy", paste0("ranova_", q), reduced[[q]], rownames(reduced))
ml <- function(f) lme4::lmer(f, sleepstudy, REML = FALSE, control = polished_control())
lr <- anova(ml(Reaction ~ 1 + (Days | Subject)), ml(Reaction ~ Days + (Days | Subject)))
note("sleepstudy", "ml_lr_days", lr$Chisq[2])
note("sleepstudy", "ml_lr_days_p", lr$`Pr(>Chisq)`[2])
for (name in c("(Intercept)", "Days")) {
  interval <- profile_interval(sleep, name)
  note("sleepstudy", "profile_low", interval[["low"]], name)
  note("sleepstudy", "profile_high", interval[["high"]], name)
}
lme4_profile <- suppressMessages(confint(ml(Reaction ~ Days + (Days | Subject)),
                                         method = "profile", oldNames = FALSE,
                                         quiet = TRUE))
note("sleepstudy", "lme4_profile_low", lme4_profile[, 1], rownames(lme4_profile))
note("sleepstudy", "lme4_profile_high", lme4_profile[, 2], rownames(lme4_profile))
for (s in levels(sleepstudy$Subject)) {
  rest <- sleepstudy[sleepstudy$Subject != s, ]
  left <- lme4::lmer(Reaction ~ Days + (Days | Subject), rest, control = polished_control())
  note("sleepstudy", paste("coef_without", s), fixef(left))
  note("sleepstudy", paste("reml_criterion_without", s), REMLcrit(left))
}
record_tests("sleepstudy_intercept", fit_reml(Reaction ~ Days + (1 | Subject), sleepstudy),
             list(both = diag(2)))
record_tests("sleepstudy_uncorrelated", fit_reml(Reaction ~ Days + (1 | Subject) +
                                                 (0 + Days | Subject), sleepstudy),
             list(both = diag(2)))
sleepstudy$Period <- factor(pmin(sleepstudy$Days %/% 3, 2))
period <- fit_reml(Reaction ~ Period + (1 | Subject), sleepstudy)
record_tests("sleepstudy_period", period, list(period = rows_of(period, "Period")))

# sleepstudy with gaps
gaps <- read_data("sleepstudy_gaps")
gaps$Subject <- factor(gaps$Subject)
gaps_slope <- fit_reml(Reaction ~ Days + (Days | Subject), gaps)
record_tests("gaps_slope", gaps_slope, list(both = diag(2)))
record_blups("gaps_slope", gaps_slope)
gaps_curve <- fit_reml(Reaction ~ Days + I(Days^2) + (Days | Subject), gaps)
record_tests("gaps_curve", gaps_curve, list(time = rows_of(gaps_curve, "Days")))

# sine
sine <- read_data("sine")
sine$g <- factor(sine$g)
sine_fit <- fit_reml(y ~ x + (1 | g), sine)
record_tests("sine", sine_fit, list(both = diag(2)))
note("sine", "variance", c(g = VarCorr(sine_fit)$g[1], residual = sigma(sine_fit)^2))

# two arms, two visits, random intercept
twoarm <- read_data("twoarm")
twoarm$group <- factor(twoarm$group, c("control", "ivig"))
twoarm$phase <- factor(twoarm$phase, c("baseline", "after"))
twoarm$patient <- factor(twoarm$patient)
arm <- fit_reml(y ~ phase * group + (1 | patient), twoarm)
record_tests("twoarm", arm, list(all = diag(4)[-1, ], groups = rows_of(arm, "group"),
                                 phases = rows_of(arm, "phase")))
record_emmeans("twoarm", arm, "phase", "group")
record_blups("twoarm", arm)
record_r2("twoarm", arm)
for (name in names(fixef(arm))) {
  interval <- profile_interval(arm, name)
  note("twoarm", "profile_low", interval[["low"]], name)
  note("twoarm", "profile_high", interval[["high"]], name)
}
aged <- fit_reml(y ~ phase * group + age + (1 | patient), twoarm)
record_tests("twoarm_age", aged, list(groups = rows_of(aged, "group")))
record_emmeans("twoarm_age", aged, "phase", "group")

# two arms, up to five visits, random slope and random intercept
visits <- read_data("visits")
visits$arm <- factor(visits$arm, c("control", "active"))
visits$patient <- factor(visits$patient)
slope <- fit_reml(y ~ day * arm + (day | patient), visits)
record_tests("visits_slope", slope, list(arm = rows_of(slope, "arm"), day = rows_of(slope, "day")))
visits$visit <- factor(visits$visit)
categorical <- fit_reml(y ~ visit * arm + (1 | patient), visits)
record_tests("visits_categorical", categorical,
             list(interaction = rows_of(categorical, ":"),
                  visit = rows_of(categorical, "^visit[0-9]+$")))
record_emmeans("visits_categorical", categorical, "visit", "arm")

# patients within sites
sites <- read_data("sites")
nested <- fit_reml(y ~ time * treated + (1 | site / id), sites)
record_tests("sites_nested", nested, list(treated = rows_of(nested, "treated")))
record_blups("sites_nested", nested)

# a variance of exactly zero: Kenward-Roger keeps the batches' degrees of freedom, Satterthwaite
# the rows'
record_tests("dyestuff2", fit_reml(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2))

write_rows("lmm_kr")
