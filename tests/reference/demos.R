# The numbers of both demo reports: the table of the patients, mortality, and the differences in
# change. Writes demos.csv.
source("tests/reference/common.R")
suppressPackageStartupMessages({library(survival); library(lme4); library(pbkrtest)})

examples <- function(...) read.csv(file.path("examples", ...))

# --- the patients, by group -------------------------------------------------------------------
describe <- function(study, variable, value, treated, log_scale = FALSE) {
  model <- paste(study, variable, sep = ", ")
  groups <- split(value, treated)  # control first
  for (k in 1:2) {
    x <- groups[[k]][!is.na(groups[[k]])]
    note(model, "mean", mean(x), c("control", "treated")[k])
    note(model, "sd", sd(x), c("control", "treated")[k])
    note(model, "quartiles", quantile(x, c(0.25, 0.5, 0.75)),
         paste(c("control", "treated")[k], 1:3))
  }
  z <- lapply(groups, function(x) if (log_scale) log(x) else x)
  pooled <- sqrt((var(z[[1]], na.rm = TRUE) + var(z[[2]], na.rm = TRUE)) / 2)
  note(model, "std_difference", (mean(z[[2]], na.rm = TRUE) - mean(z[[1]], na.rm = TRUE)) / pooled)
  note(model, "missing", sum(is.na(value)))
}
tally <- function(study, variable, value, treated) {
  model <- paste(study, variable, sep = ", ")
  note_matrix(model, "counts", table(value, ifelse(treated, "treated", "control")))
  p <- prop.table(table(value, treated), 2)[-1, , drop = FALSE]
  s <- lapply(1:2, function(k) diag(p[, k], nrow(p)) - p[, k] %*% t(p[, k]))
  d <- p[, 2] - p[, 1]
  note(model, "std_difference", sqrt(t(d) %*% solve((s[[1]] + s[[2]]) / 2) %*% d))
}

# --- mortality --------------------------------------------------------------------------------
mortality <- function(study, entry, exit, status, treated, horizon) {
  event <- as.integer(status == 1)
  wilson <- lapply(c(FALSE, TRUE), function(g) {
    x <- sum(event[treated == g]); n <- sum(treated == g)
    ci <- suppressWarnings(prop.test(x, n, correct = FALSE))$conf.int
    c(x = x, n = n, risk = x / n, low = ci[1], high = ci[2])
  })
  for (k in 1:2) note(study, "risk", wilson[[k]], paste(c("control", "treated")[k],
                                                        names(wilson[[k]])))
  a <- wilson[[2]]; b <- wilson[[1]]
  d <- a["risk"] - b["risk"]
  note(study, "newcombe", c(d, d - sqrt((a["risk"] - a["low"])^2 + (b["high"] - b["risk"])^2),
                            d + sqrt((a["high"] - a["risk"])^2 + (b["risk"] - b["low"])^2)),
       c("estimate", "conf_low", "conf_high"))
  note(study, "fisher", fisher.test(table(treated, event))$p.value)
  fit <- summary(coxph(Surv(entry, exit, event) ~ treated))
  note(study, "cox", c(fit$coefficients[, "exp(coef)"], fit$conf.int[, 3:4],
                       fit$coefficients[, "Pr(>|z|)"]),
       c("estimate", "conf_low", "conf_high", "p_value"))
  causes <- survfit(Surv(entry, exit, factor(status)) ~ treated, id = seq_along(exit))
  at <- summary(causes, times = horizon, extend = TRUE)
  note(study, "incidence", at$pstate[, 2], c("control", "treated"))
}

# --- difference in change ---------------------------------------------------------------------
kenward <- function(model, fit, term) {
  at <- as.numeric(names(fixef(fit)) == term)
  V <- vcovAdj(fit)
  df <- Lb_ddf(at, vcov(fit), V)
  estimate <- sum(at * fixef(fit))
  se <- sqrt(as.numeric(t(at) %*% V %*% at))
  p <- 2 * pt(-abs(estimate / se), df)
  note(model, "change", c(estimate, estimate + c(-1, 1) * qt(0.975, df) * se, p),
       c("estimate", "conf_low", "conf_high", "p_value"))
  p
}

# Sepsis.
people <- examples("ivig_sepsis", "patients.csv")
treated <- people$treatment == "ivig"
describe("sepsis", "age", people$age, treated)
describe("sepsis", "apache2", people$apache2, treated)
tally("sepsis", "sex", people$sex, treated)
tally("sepsis", "infection", people$infection, treated)
status <- ifelse(people$status == "dead", 1, ifelse(people$status == "discharged", 2, 0))
end <- pmin(people$followup_day, 28)
mortality("sepsis", rep(7, nrow(people)), end, ifelse(people$followup_day > 28, 0, status),
          treated, 28)

visits <- examples("ivig_sepsis", "measurements.csv")
visits$value <- suppressWarnings(as.numeric(sub("<", "", visits$value)))
logs <- c("wbc", "pct", "il6", "plt", "pt_inr", "aptt", "d_dimer", "tat", "pic", "sf", "pai1")
markers <- c(logs, "crp", "jaam", "sofa")
unadjusted <- adjusted <- numeric(0)
for (m in markers) {
  v <- visits[visits$marker == m & !is.na(visits$value) & visits$day <= 28, ]
  v$phase <- ifelse(v$day == 1, "baseline", ifelse(v$day >= 4 & v$day <= 7, "after", NA))
  v <- v[!is.na(v$phase), ]
  first <- v[v$phase == "baseline", ]
  first <- first[order(first$day), ]
  first <- first[!duplicated(first$patient), ]
  value <- first$value[match(people$patient, first$patient)]
  describe("sepsis", m, value, treated, m %in% logs)
  v$y <- if (m %in% logs) log(v$value) else v$value
  v$after <- as.numeric(v$phase == "after")
  v$treated <- as.numeric(people$treatment[match(v$patient, people$patient)] == "ivig")
  fit <- lmer(y ~ after * treated + (1 | patient), v)
  unadjusted[m] <- kenward(paste("sepsis,", m, "unadjusted"), fit, "after:treated")
  both <- merge(v[v$after == 0, c("patient", "y", "treated")], v[v$after == 1, c("patient", "y")],
                by = "patient", suffixes = c("0", "1"))
  stopifnot(!anyDuplicated(both$patient))
  line <- lm(y1 ~ y0 + treated, both)
  s <- summary(line)$coefficients["treated", ]
  adjusted[m] <- s[4]
  note(paste("sepsis,", m, "adjusted"), "change",
       c(s[1], confint(line)["treated", ], s[4]),
       c("estimate", "conf_low", "conf_high", "p_value"))
}
note("sepsis, unadjusted", "p_fdr", p.adjust(unadjusted, "BH"))
note("sepsis, adjusted", "p_fdr", p.adjust(adjusted, "BH"))

# Primary biliary cholangitis.
people <- examples("pbc", "patients.csv")
treated <- people$drug != "placebo"
describe("pbc", "age", people$age, treated)
tally("pbc", "sex", people$sex, treated)
tally("pbc", "stage", people$stage, treated)
status <- ifelse(people$status == "dead", 1, ifelse(people$status == "transplant", 2, 0))
status <- ifelse(people$years > 10, 0, status)
end <- pmin(people$years, 10)
mortality("pbc", rep(0, nrow(people)), end, status, treated, 10)
fit <- summary(coxph(Surv(end, status == 1) ~ treated + people$age))
note("pbc, adjusted for age", "cox",
     c(fit$coefficients[1, "exp(coef)"], fit$conf.int[1, 3:4], fit$coefficients[1, "Pr(>|z|)"]),
     c("estimate", "conf_low", "conf_high", "p_value"))

# The cumulative incidence of death standardised over age: a Cox model of each cause.
# In stretches of constant hazards, and as survfit multiplies them, which is less by a percent.
whole <- data.frame(id = seq_along(end), end, status, cause = factor(status),
                    drug = as.numeric(treated), age = people$age)
both <- coxph(Surv(end, cause) ~ drug + age, whole, id = id)
of <- lapply(1:2, function(k) coxph(Surv(end, status == k) ~ drug + age, whole))
base <- lapply(of, basehaz, centered = FALSE)
times <- sort(unique(unlist(lapply(base, function(b) b$time))))
steps <- lapply(base, function(b) diff(c(0, approx(c(0, b$time), c(0, b$hazard), times,
                                                   method = "constant", rule = 2)$y)))
for (arm in 0:1) {
  x <- cbind(arm, whole$age)
  risk <- 0; alive <- 1
  for (j in seq_along(times)) {
    h <- sapply(1:2, function(k) exp(x %*% coef(of[[k]])) * steps[[k]][j])
    total <- rowSums(h)
    risk <- risk + alive * ifelse(total > 0, (1 - exp(-total)) * h[, 1] / total, 0)
    alive <- alive * exp(-total)
  }
  name <- c("control", "treated")[arm + 1]
  note("pbc, standardised", "incidence", mean(risk), name)
  at <- summary(survfit(both, newdata = transform(whole, drug = arm)), times = 10)$pstate
  note("pbc, standardised", "survfit", mean(at[, , 2]), name)
}

visits <- examples("pbc", "measurements.csv")
for (m in c("bili", "albumin", "platelet", "protime")) {
  v <- visits[visits$marker == m & !is.na(visits$value) & visits$year <= 10, ]
  v$y <- if (m == "albumin") v$value else log(v$value)
  v$treated <- as.numeric(people$drug[match(v$id, people$id)] != "placebo")
  first <- v[order(v$id, v$year), ]
  first <- first[!duplicated(first$id), ]
  describe("pbc", m, first$value[match(people$id, first$id)], treated, m != "albumin")
  fit <- lmer(y ~ year * treated + (year | id), v,
              control = lmerControl(optCtrl = list(maxfun = 1e5, xtol_abs = 1e-10,
                                                   ftol_abs = 1e-10)))
  note(paste("pbc,", m, "unadjusted"), "change_estimate", fixef(fit)["year:treated"])
  note(paste("pbc,", m, "unadjusted"), "change_se", sqrt(vcov(fit)["year:treated", "year:treated"]))
}
write_rows("demos")
