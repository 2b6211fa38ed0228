# Subgroups of a treatment effect by coxph: hazard ratios of treatment in each level of a column,
# the likelihood-ratio test of one ratio in all, and each level's standardised risk difference.
# Writes subgroups.csv.
source("tests/reference/common.R")
suppressPackageStartupMessages(library(survival))

record <- function(model, data, arm, level, adjust, horizon) {
  data$status <- ifelse(data$time > horizon, 0, data$status) # follow-up ends at the horizon
  data$time <- pmin(data$time, horizon)
  data$a <- data[[arm]]
  data$g <- factor(data[[level]])
  right <- paste(c("a", "g", adjust), collapse = " + ")
  common <- coxph(as.formula(paste("Surv(time, status) ~", right)), data)
  each <- coxph(as.formula(paste("Surv(time, status) ~", right, "+ a:g")), data)
  overall <- coxph(as.formula(paste("Surv(time, status) ~", paste(c("a", adjust), collapse = "+"))),
                   data)
  note(model, "overall_coef", coef(overall)[["a"]])
  note(model, "overall_se", sqrt(vcov(overall)["a", "a"]))
  b <- coef(each)
  for (l in levels(data$g)) {
    w <- setNames(numeric(length(b)), names(b))
    w["a"] <- 1
    if (l != levels(data$g)[1]) w[paste0("a:g", l)] <- 1
    note(model, "coef", sum(w * b), l)
    note(model, "se", sqrt(as.numeric(t(w) %*% vcov(each) %*% w)), l)
    own <- data[data$g == l, ]
    risk <- sapply(0:1, function(arm) {
      own$a <- arm
      curves <- summary(survfit(each, newdata = own), times = horizon)$surv
      mean(1 - curves)
    })
    note(model, "risk_difference", risk[2] - risk[1], l)
  }
  test <- anova(common, each)
  note(model, "chisq", test$Chisq[2])
  note(model, "df", test$Df[2])
  note(model, "p", test[["Pr(>|Chi|)"]][2])
}

veteran <- read_data("veteran")
veteran$trt <- veteran$trt - 1
record("veteran", veteran, "trt", "celltype", "karno", 200)
lung <- read_data("lung")
lung <- lung[!is.na(lung$ecog), ]
lung$arm <- lung$sex - 1
lung <- lung[lung$ecog < 3, ]
record("lung", lung, "arm", "ecog", NULL, 365)
write_rows("subgroups")
