# Small samples and the risk scale: Kaplan-Meier with intervals, restricted mean survival, log-rank
# tests (asymptotic and by permutation), competing events, and Firth's Cox model. Reads icu.csv;
# writes cox_small.csv, ovarian.csv. "own" in a quantity's name: computed by the code in this file,
# no package of Debian has it.
source("tests/reference/common.R")
source("tests/reference/polished.R")
suppressMessages({library(survival); library(cmprsk); library(coin)})

at <- function(label, t) paste(label, "t", t)

# ---- Kaplan-Meier --------------------------------------------------------------------------------
record_km <- function(model, formula, data, times) {
  for (type in c("plain", "log", "log-log", "logit", "arcsin")) {
    s <- summary(survfit(formula, data, conf.type = type), times = times, extend = TRUE)
    label <- at(if (is.null(s$strata)) "all" else as.character(s$strata), s$time)
    if (type == "plain") {
      note(model, "km", s$surv, label)
      note(model, "km_se", s$std.err, label)
      note(model, "n_risk", s$n.risk, label)
      note(model, "nelson_aalen", s$cumhaz, label)
      note(model, "nelson_aalen_se", s$std.chaz, label)
    }
    note(model, paste0("km_low_", type), s$lower, label)
    note(model, paste0("km_high_", type), s$upper, label)
  }
}

# ---- restricted mean: area under the curve to tau; variance sum over event times of area(t,
# tau)^2 d / (Y (Y - d)) ----
rmst <- function(time, event, tau) {
  t <- sort(unique(time[event == 1 & time <= tau]))
  d <- vapply(t, function(u) sum(time == u & event == 1), 0)
  Y <- vapply(t, function(u) sum(time >= u), 0)
  S <- cumprod(1 - d / Y)
  ends <- c(t, tau)
  pieces <- diff(ends) * S
  area_after <- rev(cumsum(rev(pieces)))
  variance <- sum(ifelse(Y > d, area_after^2 * d / (Y * (Y - d)), 0))
  c(rmst = (if (length(t)) t[1] else tau) + sum(pieces), se = sqrt(variance))
}
record_rmst <- function(model, time, event, group, tau) {
  r <- lapply(split(seq_along(time), group), function(k) rmst(time[k], event[k], tau))
  for (g in names(r)) {
    note(model, "rmst_own", r[[g]][["rmst"]], paste(g, "tau", tau))
    note(model, "rmst_se_own", r[[g]][["se"]], paste(g, "tau", tau))
    k <- group == g
    table <- summary(survfit(Surv(time[k], event[k]) ~ 1), rmean = tau)$table
    note(model, "rmst_survfit", table[["rmean"]], paste(g, "tau", tau))
    note(model, "rmst_se_survfit", table[["se(rmean)"]], paste(g, "tau", tau))
    stopifnot(abs(table[["rmean"]] / r[[g]][["rmst"]] - 1) < 1e-12)
    stopifnot(abs(table[["se(rmean)"]] / r[[g]][["se"]] - 1) < 1e-9)
  }
  m <- vapply(r, `[[`, 0, "rmst"); s <- vapply(r, `[[`, 0, "se")
  label <- paste(names(r)[2], "against", names(r)[1], "tau", tau)
  z <- qnorm(.975)
  d <- m[[2]] - m[[1]]
  sd <- sqrt(sum(s^2))
  note(model, "rmst_difference_own", c(d, sd, d - z * sd, d + z * sd, 2 * pnorm(-abs(d / sd))),
       paste(label, c("estimate", "se", "low", "high", "p")))
  lr <- log(m[[2]] / m[[1]])
  sl <- sqrt(sum((s / m)^2))
  note(model, "rmst_ratio_own", c(exp(lr), sl, exp(lr - z * sl), exp(lr + z * sl)),
       paste(label, c("estimate", "se of log", "low", "high")))
}

# ---- log-rank ------------------------------------------------------------------------------------
record_logrank <- function(model, formula, data) {
  for (rho in c(0, 1)) {
    d <- survdiff(formula, data, rho = rho)
    note(model, paste0("survdiff_rho", rho, "_chisq"), d$chisq)
    note(model, paste0("survdiff_rho", rho, "_df"), length(d$n) - 1)
    note(model, paste0("survdiff_rho", rho, "_expected"),
         if (is.matrix(d$exp)) rowSums(d$exp) else d$exp, names(d$n))
    note(model, paste0("survdiff_rho", rho, "_observed"),
         if (is.matrix(d$obs)) rowSums(d$obs) else d$obs, names(d$n))
  }
}

# Log-rank scores (observed minus the Nelson-Aalen estimate) summed in one group: every allocation
# of the group labels.
permutation_own <- function(time, event, group) {
  score <- as.vector(residuals(coxph(Surv(time, event) ~ 1, ties = "breslow"), type = "martingale"))
  k <- sum(group)
  sums <- combn(length(time), k, function(i) sum(score[i]))
  observed <- sum(score[group == 1])
  c(statistic = observed, mean = mean(sums), sd = sqrt(mean((sums - mean(sums))^2)),
    p_two_sided = mean(abs(sums) >= abs(observed) - 1e-9), p_lower = mean(sums <= observed + 1e-9),
    p_upper = mean(sums >= observed - 1e-9))
}

# ---- Firth's Cox model by brute force: log partial likelihood + half the log det of information --
cox_pieces <- function(beta, d, ties) {
  X <- d$X; eta <- as.vector(X %*% beta) + d$offset; r <- d$weight * exp(eta)
  p <- ncol(X); ll <- 0; info <- matrix(0, p, p)
  add <- function(S0, S1, S2, w) {
    ll <<- ll - w * log(S0)
    m <- S1 / S0
    info <<- info + w * (S2 / S0 - tcrossprod(m))
  }
  sums <- function(k) list(sum(r[k]), colSums(r[k] * X[k, , drop = FALSE]),
                           crossprod(X[k, , drop = FALSE], r[k] * X[k, , drop = FALSE]))
  for (s in unique(d$strata)) for (t in unique(d$exit[d$event == 1 & d$strata == s])) {
    risk <- which(d$strata == s & d$entry < t & d$exit >= t)
    dead <- which(d$strata == s & d$exit == t & d$event == 1)
    ll <- ll + sum(d$weight[dead] * eta[dead])
    R <- sums(risk); D <- sums(dead); m <- length(dead); w <- sum(d$weight[dead])
    if (ties == "breslow") add(R[[1]], R[[2]], R[[3]], w)
    else for (share in (seq_len(m) - 1) / m)
      add(R[[1]] - share * D[[1]], R[[2]] - share * D[[2]], R[[3]] - share * D[[3]], w / m)
  }
  list(ll = ll, info = info)
}
firth_data <- function(X, exit, event, entry = rep(-Inf, length(exit)),
                       strata = rep(1, length(exit)),
                       weight = rep(1, length(exit)))
  list(X = as.matrix(X), exit = exit, event = event, entry = entry, strata = strata,
       weight = weight,
       offset = rep(0, length(exit)))
penalised <- function(beta, d, ties) {
  q <- cox_pieces(beta, d, ties)
  q$ll + 0.5 * as.numeric(determinant(q$info)$modulus)
}
firth_max <- function(d, ties, hold = integer(0), at = numeric(0), start = rep(0, ncol(d$X))) {
  free <- setdiff(seq_len(ncol(d$X)), hold)
  fill <- function(x) { b <- start; b[hold] <- at; b[free] <- x; b }
  f <- function(x) -penalised(fill(x), d, ties)
  if (!length(free)) return(list(beta = fill(numeric(0)), value = -f(numeric(0))))
  rough <- optim(start[free], f, method = "BFGS", control = list(reltol = 1e-12, maxit = 500))
  end <- newton(f, rough$par)
  list(beta = fill(end$par), value = -f(end$par), converged = max(abs(end$move)) < 1e-6)
}
record_firth <- function(model, d, ties, profile = TRUE) {
  best <- firth_max(d, ties)
  stopifnot(best$converged)
  q <- cox_pieces(best$beta, d, ties)
  names <- colnames(d$X)
  se <- sqrt(diag(solve(q$info)))
  note(model, "firth_coef_own", best$beta, names)
  note(model, "firth_se_own", se, names)
  note(model, "firth_penalised_loglik_own", best$value)
  note(model, "firth_loglik_own", q$ll)
  none <- penalised(rep(0, ncol(d$X)), d, ties)
  note(model, "firth_penalised_loglik_null_own", none)
  if (profile) for (k in seq_along(names)) {
    dev <- function(b) 2 * (best$value - firth_max(d, ties, k, b, best$beta)$value)
    note(model, "firth_plr_chisq_own", dev(0), names[k])
    note(model, "firth_plr_p_own", pchisq(dev(0), 1, lower.tail = FALSE), names[k])
    root <- function(direction) {
      far <- best$beta[k] + direction * se[k]
      while (dev(far) < qchisq(.95, 1)) far <- far + direction * se[k]
      uniroot(function(b) dev(b) - qchisq(.95, 1), sort(c(best$beta[k], far)), tol = 1e-8)$root
    }
    note(model, "firth_profile_low_own", root(-1), names[k])
    note(model, "firth_profile_high_own", root(1), names[k])
  }
}

# ---- icu: 19 + 22 patients at risk from day 7, deaths 1 and 4, the rest alive at day 28 ----------
icu <- read_data("icu")
icu$group <- factor(icu$group, c("control", "ivig"))
record_km("icu", Surv(entry, exit, event) ~ group, icu, c(8, 14, 21, 28))
record_logrank("icu", Surv(exit, event) ~ group, icu)
for (ties in c("efron", "breslow")) {
  record_firth(paste0("icu_", ties), firth_data(cbind(ivig = icu$group == "ivig") * 1, icu$exit,
                                                icu$event, icu$entry), ties)
  record_firth(paste0("icu_age_", ties),
               firth_data(cbind(ivig = (icu$group == "ivig") * 1, age = icu$age), icu$exit,
                          icu$event, icu$entry), ties)
}
wald <- summary(coxph(Surv(entry, exit, event) ~ group, icu,
                      control = coxph.control(eps = 1e-13, toler.chol = 1e-14)))$coefficients
note("icu_efron", "wald", wald, colnames(wald))
# The exact permutation distribution, entry times left out: coin's split-up algorithm.
lr_exact <- logrank_test(Surv(exit, event) ~ group, icu,
                         distribution = exact(algorithm = "split-up"))
note("icu", "coin_logrank_z", statistic(lr_exact))
note("icu", "coin_logrank_exact_p", pvalue(lr_exact))
note("icu", "coin_logrank_asymptotic_p", pvalue(logrank_test(Surv(exit, event) ~ group, icu)))

# ---- Firth: the two-subject case, monotone likelihood, ties, entry, strata, weights --------------
record_firth("two_subjects", firth_data(cbind(x = c(1, 0)), c(1, 2), c(1, 1)), "breslow",
             profile = FALSE)
note("two_subjects", "firth_coef_exact", log(3), "x")
note("two_subjects", "baseline_cumulative_hazard_exact", 1 / (1 + 3), "x 0 t 1")
tied <- read_data("tied")
X <- as.matrix(tied[c("x", "z")])
for (ties in c("efron", "breslow")) {
  record_firth(paste0("tied_plain_", ties), firth_data(X, tied$exit, tied$event), ties)
  record_firth(paste0("tied_entry_", ties), firth_data(X, tied$exit, tied$event, tied$entry), ties)
  record_firth(paste0("tied_entry_strata_", ties), firth_data(X, tied$exit, tied$event, tied$entry,
      tied$site), ties)
  record_firth(paste0("tied_entry_weighted_", ties),
               firth_data(X, tied$exit, tied$event, tied$entry, weight = tied$weight), ties)
  # the pieces themselves against coxph at a fixed point
  fixed <- coxph(Surv(entry, exit, event) ~ x + z + strata(site), tied, ties = ties,
                 weights = weight, init = c(.7, -.4),
                 robust = FALSE, control = coxph.control(iter.max = 0))
  own <- cox_pieces(c(.7, -.4), firth_data(X, tied$exit, tied$event, tied$entry, tied$site,
                                           tied$weight), ties)
  stopifnot(abs(own$ll - fixed$loglik[2]) < 1e-10, max(abs(solve(own$info) - fixed$var)) < 1e-10)
}
# separation: the earliest five events all have x = 1 and no event has x = 0
separated <- data.frame(exit = c(1, 2, 3, 4, 5, 6, 6, 7, 8, 8),
                        event = c(1, 1, 1, 1, 0, 0, 0, 0, 0, 0),
                        x = c(1, 1, 1, 1, 1, 0, 0, 0, 0, 0), z = c(.2, -1, .5, 1.3, 0, -.4, .8,
                            -.2, 1.1, -.9))
write_data(separated, "separated")
for (ties in c("efron", "breslow"))
  record_firth(paste0("separated_", ties), firth_data(as.matrix(separated[c("x", "z")]),
                                                      separated$exit, separated$event), ties)

# ---- ovarian: 26 patients, no ties ---------------------------------------------------------------
ovarian_rows <- ovarian
names(ovarian_rows)[4] <- "residual"; names(ovarian_rows)[6] <- "ecog"
write_data(ovarian_rows, "ovarian")
record_km("ovarian", Surv(futime, fustat) ~ rx, ovarian, c(100, 365, 600, 1000))
record_km("ovarian_all", Surv(futime, fustat) ~ 1, ovarian, c(100, 365, 600, 1000))
for (tau in c(365, 730)) record_rmst("ovarian", ovarian$futime, ovarian$fustat, ovarian$rx, tau)
record_logrank("ovarian", Surv(futime, fustat) ~ rx, ovarian)
record_logrank("ovarian_strata", Surv(futime, fustat) ~ rx + strata(ecog.ps), ovarian)
record_firth("ovarian_breslow", firth_data(as.matrix(ovarian_rows[c("age", "residual", "rx",
    "ecog")]),
                                           ovarian$futime, ovarian$fustat), "breslow")

# ---- permutation log-rank on 16 patients, every allocation ---------------------------------------
small <- data.frame(time = c(2, 3, 3, 5, 6, 7, 8, 9, 9, 10, 11, 12, 13, 14, 15, 16),
                    event = c(1, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 0, 0, 1, 0, 0),
                    group = c(1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0))
write_data(small, "permutation")
p <- permutation_own(small$time, small$event, small$group)
note("permutation", "own", p)
for (ties in c("mid-ranks", "Hothorn-Lausen", "average-scores")) {
  test <- logrank_test(Surv(time, event) ~ factor(group), small,
                       distribution = exact(algorithm = "split-up"), ties.method = ties)
  note("permutation", paste("coin exact p", ties), pvalue(test))
  note("permutation", paste("coin z", ties), statistic(test))
}
record_logrank("permutation", Surv(time, event) ~ group, small)

# ---- competing events ----------------------------------------------------------------------------
# mgus2: progression (1) against death without it (2), in months
m <- na.omit(transform(mgus2, etime = ifelse(pstat == 0, futime, ptime),
                       status = ifelse(pstat == 0, 2 * death,
                                       1))[c("id", "sex", "etime", "status")])
m <- m[m$id %% 4 == 0, ]
write_data(m, "competing")
record_competing <- function(model, time, status, group, times) {
  ci <- cuminc(time, status, group)
  points <- timepoints(ci, times)
  labels <- as.vector(outer(rownames(points$est), colnames(points$est), paste, sep = " t "))
  note(model, "cuminc", as.vector(points$est), labels)
  note(model, "cuminc_variance", as.vector(points$var), labels)
  note_matrix(model, "gray", ci$Tests)
  aj <- survfit(Surv(time, factor(status)) ~ group)
  s <- summary(aj, times = times, extend = TRUE)
  for (cause in seq_along(aj$states)[-1]) {
    label <- paste(as.character(s$strata), aj$states[cause], "t", s$time)
    note(model, "aalen_johansen", s$pstate[, cause], label)
    note(model, "aalen_johansen_se", s$std.err[, cause], label)
    note(model, "aalen_johansen_low", s$lower[, cause], label)
    note(model, "aalen_johansen_high", s$upper[, cause], label)
  }
}
record_competing("competing", m$etime, m$status, m$sex, c(60, 120, 240))
cause <- coxph(Surv(etime, status == 1) ~ sex, m, control = coxph.control(eps = 1e-13,
    toler.chol = 1e-14))
note("competing", "cause_specific_coef", coef(cause))
note("competing", "cause_specific_se", sqrt(diag(vcov(cause))), names(coef(cause)))
record_logrank("competing", Surv(etime, status == 1) ~ sex, m)

# the same on the small tied data, status 2 made of every second censoring
tied$status <- ifelse(tied$event == 1, 1, ifelse(cumsum(tied$event == 0) %% 2 == 1, 2, 0))
note("tied_competing", "status", tied$status, tied$id)
record_competing("tied_competing", tied$exit, tied$status, tied$site, c(3, 5, 7, 9))

write_rows("cox_small")
