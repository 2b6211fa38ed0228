# Cox models by survival::coxph: ties, entry times, start-stop rows, strata, weights, robust
# variance, offset, baseline hazard, survival curves, proportional-hazards tests, concordance,
# residuals. Reads rossi.csv and tied.csv; writes cox_basic.csv, heart.csv, veteran.csv, lung.csv.
source("tests/reference/common.R")
suppressMessages(library(survival))

control <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 100, outer.max = 100)
# coxph with these settings; the call is rewritten, so that R's helpers can evaluate it again.
cox <- function(...) {
  call <- match.call()
  call[[1]] <- quote(coxph)
  call[c("control", "x", "y", "model")] <- list(control, TRUE, TRUE, TRUE)
  eval(call, parent.frame())
}

record <- function(model, fit, tests = TRUE) {
  note(model, "coef", coef(fit))
  robust <- !is.null(fit$naive.var)
  note(model, "se", sqrt(diag(if (robust) fit$naive.var else fit$var)), names(coef(fit)))
  if (robust) note(model, "robust_se", sqrt(diag(fit$var)), names(coef(fit)))
  v <- fit$var; dimnames(v) <- list(names(coef(fit)), names(coef(fit)))
  note_matrix(model, if (robust) "robust_vcov" else "vcov", v)
  note(model, "loglik_null", fit$loglik[1])
  note(model, "loglik", fit$loglik[2])
  note(model, "n", fit$n)
  note(model, "events", fit$nevent)
  if (tests) {
    note(model, "wald_test", fit$wald.test)
    note(model, "score_test", fit$score)
    c_index <- concordance(fit)
    note(model, "concordance", c_index$concordance)
    note(model, "concordance_se", sqrt(c_index$var))
  }
}

record_zph <- function(model, fit) for (transform in c("km", "identity", "log", "rank")) {
  z <- cox.zph(fit, transform = transform, terms = FALSE)$table
  for (column in c("chisq", "df", "p"))
    note(model, paste("zph", transform, column, sep = "_"), z[, column], rownames(z))
}

record_curve <- function(model, fit, newdata, times, label) {
  for (type in c("log", "log-log", "plain")) {
    curve <- survfit(fit, newdata = newdata, conf.type = type)
    s <- summary(curve, times = times)
    at <- paste(label, "t", s$time, sep = " ")
    if (type == "log") {
      note(model, "survival", s$surv, at)
      note(model, "survival_se", s$std.err, at)
      note(model, "cumulative_hazard", s$cumhaz, at)
    }
    note(model, paste("survival_low", type, sep = "_"), s$lower, at)
    note(model, paste("survival_high", type, sep = "_"), s$upper, at)
  }
}

# Baseline hazard with every covariate at zero, at fixed times.
record_basehaz <- function(model, fit, times) {
  h <- basehaz(fit, centered = FALSE)
  strata <- if (is.null(h$strata)) rep("", nrow(h)) else as.character(h$strata)
  for (s in unique(strata)) {
    part <- h[strata == s, ]
    step <- stepfun(part$time, c(0, part$hazard))
    note(model, "basehaz", step(times), trimws(paste(s, "t", times)))
  }
}

record_residuals <- function(model, fit) {
  for (type in c("martingale", "deviance"))
    note(model, type, as.numeric(residuals(fit, type = type)), seq_len(fit$n))
  for (type in c("score", "dfbeta", "dfbetas", "schoenfeld", "scaledsch")) {
    r <- as.matrix(residuals(fit, type = type))
    colnames(r) <- names(coef(fit))
    if (type %in% c("schoenfeld", "scaledsch")) {
      if (type == "schoenfeld") note(model, "schoenfeld_time", as.numeric(rownames(r)),
                                     seq_len(nrow(r)))
    }
    rownames(r) <- seq_len(nrow(r))
    note_matrix(model, type, r)
  }
}

# Profile-likelihood interval of one coefficient: the others maximised again at each value tried.
record_profile <- function(model, fit, data, response, others, name, ties, level = 0.95) {
  cut <- fit$loglik[2] - qchisq(level, 1) / 2
  profile <- function(b) {
    rhs <- paste(c(others, if (!length(others)) "1", "offset(fixed)"), collapse = " + ")
    data$fixed <- b * data[[name]]
    max(cox(as.formula(paste(response, "~", rhs)), data, ties = ties)$loglik) - cut
  }
  b <- coef(fit)[[name]]
  s <- sqrt(diag(vcov(fit)))[[which(names(coef(fit)) == name)]]
  root <- function(direction) uniroot(profile, sort(c(b, b + direction * 6 * s)), tol = 1e-11)$root
  note(model, "profile_low", root(-1), name)
  note(model, "profile_high", root(1), name)
}

# rossi: 432 convicts, 114 arrests, weekly ties
rossi <- read_data("rossi")
rossi_covariates <- c("fin", "age", "race", "wexp", "mar", "paro", "prio")
rossi_formula <- as.formula(paste("Surv(week, arrest) ~", paste(rossi_covariates, collapse = "+")))
typical <- data.frame(fin = c(0, 1), age = 25, race = 1, wexp = 1, mar = 0, paro = 1, prio = 3)
for (ties in c("efron", "breslow")) {
  model <- paste0("rossi_", ties)
  fit <- cox(rossi_formula, rossi, ties = ties)
  record(model, fit)
  record_zph(model, fit)
  record_basehaz(model, fit, c(10, 20, 30, 40, 52))
  for (arm in 1:2) record_curve(model, fit, typical[arm, ], c(10, 20, 30, 40, 52),
                                paste("fin", arm - 1))
  for (name in c("fin", "prio"))
    record_profile(model, fit, rossi, "Surv(week, arrest)", setdiff(rossi_covariates, name), name,
                   ties)
}
record("rossi_two_efron", cox(Surv(week, arrest) ~ fin + prio, rossi, ties = "efron"))

# heart: start-stop rows, a covariate that changes in time (Stanford transplants)
heart_rows <- transform(heart, transplant = as.integer(as.character(transplant)))
write_data(heart_rows, "heart")
for (ties in c("efron", "breslow")) {
  model <- paste0("heart_", ties)
  fit <- cox(Surv(start, stop, event) ~ age + year + surgery + transplant, heart_rows, ties = ties)
  record(model, fit)
  record_zph(model, fit)
  record_basehaz(model, fit, c(1, 10, 50, 100, 500, 1000))
}
record("heart_cluster", cox(Surv(start, stop, event) ~ age + year + surgery + transplant,
                            heart_rows,
                            cluster = id))
record("heart_strata", cox(Surv(start, stop, event) ~ age + year + transplant + strata(surgery),
                           heart_rows))

# veteran: strata, a factor with four levels
write_data(veteran, "veteran")
for (ties in c("efron", "breslow")) {
  model <- paste0("veteran_strata_", ties)
  fit <- cox(Surv(time, status) ~ trt + karno + age + strata(celltype), veteran, ties = ties)
  record(model, fit)
  record_zph(model, fit)
  record_basehaz(model, fit, c(30, 90, 180))
}
veteran_fit <- cox(Surv(time, status) ~ trt + celltype + karno + diagtime + age + prior, veteran)
record("veteran_efron", veteran_fit)
record_zph("veteran_efron", veteran_fit)

# lung: case weights (not integers), clusters, an offset
lung_rows <- na.omit(transform(lung, status = status - 1)[c("inst", "time", "status", "age", "sex",
    "ph.ecog")])
names(lung_rows)[6] <- "ecog"
lung_rows$weight <- 0.5 + (seq_len(nrow(lung_rows)) %% 4) / 4
lung_rows$known <- 0.01 * (lung_rows$age - 60)
write_data(lung_rows, "lung")
lung_formula <- Surv(time, status) ~ age + sex + ecog
for (ties in c("efron", "breslow")) {
  record(paste0("lung_", ties), cox(lung_formula, lung_rows, ties = ties))
  model <- paste0("lung_weighted_", ties)
  fit <- cox(lung_formula, lung_rows, ties = ties, weights = weight, robust = TRUE)
  record(model, fit)
  record_basehaz(model, fit, c(100, 300, 600))
  record(paste0("lung_cluster_", ties), cox(lung_formula, lung_rows, ties = ties, cluster = inst))
  record(paste0("lung_weighted_cluster_", ties),
         cox(lung_formula, lung_rows, ties = ties, weights = weight, cluster = inst))
  model <- paste0("lung_offset_", ties)
  fit <- cox(Surv(time, status) ~ sex + ecog + offset(known), lung_rows, ties = ties)
  record(model, fit, tests = FALSE)
}

# tied: 14 made-up rows with entry times, ties among events and between events and censorings,
# weights, strata
tied <- read_data("tied")
for (ties in c("efron", "breslow")) {
  variants <- list(
    plain = cox(Surv(exit, event) ~ x + z, tied, ties = ties),
    entry = cox(Surv(entry, exit, event) ~ x + z, tied, ties = ties),
    entry_strata = cox(Surv(entry, exit, event) ~ x + z + strata(site), tied, ties = ties),
    entry_weighted = cox(Surv(entry, exit, event) ~ x + z, tied, ties = ties, weights = weight,
                         cluster = id))
  for (variant in names(variants)) {
    model <- paste("tied", variant, ties, sep = "_")
    record(model, variants[[variant]])
    record_residuals(model, variants[[variant]])
    record_basehaz(model, variants[[variant]], sort(unique(tied$exit)))
  }
  model <- paste("tied_entry", ties, sep = "_")
  record_profile(model, variants$entry, tied, "Surv(entry, exit, event)", "z", "x", ties)
  record_curve(model, variants$entry, data.frame(x = 1, z = 0.5), c(4, 6, 9), "x 1 z 0.5")
  fixed <- coxph(Surv(entry, exit, event) ~ x + z, tied, ties = ties, init = c(0.7, -0.4), control =
                   coxph.control(iter.max = 0))
  note(model, "loglik_at_0.7_-0.4", fixed$loglik[2])
  note_matrix(model, "vcov_at_0.7_-0.4", structure(fixed$var,
                                                   dimnames = list(c("x", "z"), c("x", "z"))))
}

write_rows("cox_basic")
