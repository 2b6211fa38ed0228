# Several arms: hazard ratios of one Cox model of all, the log-rank test of two, risks at a horizon.
# Intervals that hold together: multcomp, its integral to 1e-6. Writes arms.csv.
source("tests/reference/common.R")
suppressPackageStartupMessages({library(survival); library(multcomp); library(mvtnorm)})
set.seed(1)

d <- subset(read_data("veteran"), celltype != "adeno")
horizon <- 365
d$status <- ifelse(d$time > horizon, 0, d$status); d$time <- pmin(d$time, horizon)
arms <- c("squamous", "smallcell", "large")
control <- coxph.control(eps = 1e-13, toler.chol = 1e-14)
for (first in arms) {
  d$arm <- relevel(factor(d$celltype, arms), first)
  for (more in c("", " + karno")) {
    fit <- coxph(as.formula(paste0("Surv(time, status) ~ arm", more)), d, control = control)
    found <- summary(fit)
    of <- grepl("^arm", rownames(found$coefficients))
    pair <- paste(sub("^arm", "", rownames(found$coefficients)[of]), first, sep = " - ")
    model <- paste0("cox", more)
    note(model, "estimate", found$conf.int[of, "exp(coef)"], pair)
    note(model, "conf_low", found$conf.int[of, "lower .95"], pair)
    note(model, "conf_high", found$conf.int[of, "upper .95"], pair)
    note(model, "p_value", found$coefficients[of, "Pr(>|z|)"], pair)
  }
}
d$arm <- factor(d$celltype, arms)
precise <- GenzBretz(maxpts = 5e7, abseps = 1e-7)
for (more in c("", " + karno")) {
  fit <- coxph(as.formula(paste0("Surv(time, status) ~ arm", more)), d, control = control)
  for (kind in c("Dunnett", "Tukey")) {
    asked <- glht(fit, mcp(arm = kind))
    found <- summary(asked, test = adjusted("single-step", algorithm = precise))$test
    multiple <- qmvnorm(0.95, tail = "both.tails", corr = cov2cor(vcov(asked)), algorithm = precise,
                        interval = c(1.9, 3))$quantile
    model <- paste0(kind, more)
    note(model, "simultaneous_low", exp(found$coefficients - multiple * found$sigma), names(found$coefficients))
    note(model, "simultaneous_high", exp(found$coefficients + multiple * found$sigma), names(found$coefficients))
    note(model, "p_simultaneous", as.vector(found$pvalues), names(found$coefficients))
  }
}
pairs <- combn(arms, 2)
tests <- apply(pairs, 2, function(two) {
  sub <- d[d$celltype %in% two, ]
  survdiff(Surv(time, status) ~ celltype, sub)$chisq
})
names(tests) <- apply(pairs, 2, function(two) paste(two[2], two[1], sep = " - "))
p <- pchisq(tests, 1, lower.tail = FALSE)
note("log-rank", "p_value", p)
note("log-rank", "p_holm", p.adjust(p, "holm"))
of_reference <- p[grepl(" - squamous$", names(p))]
note("log-rank with squamous", "p_holm", p.adjust(of_reference, "holm"))
for (arm in arms) {
  curve <- summary(survfit(Surv(time, status) ~ 1, d[d$celltype == arm, ]), times = horizon, extend = TRUE)
  note("Kaplan-Meier", "risk", 1 - curve$surv, arm)
}
write_rows("arms")
