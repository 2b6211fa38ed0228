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
# Three arms in one model: every pair in each level, and the tests of each pair and of all together.
several <- function(model, data, level, adjust, horizon) {
  data$status <- ifelse(data$time > horizon, 0, data$status)
  data$time <- pmin(data$time, horizon)
  data$g <- factor(data[[level]])
  arms <- c("control", "high", "low")
  data$a <- factor(data$arm, arms)
  fit <- function(right) coxph(as.formula(paste("Surv(time, status) ~", paste(c(right, adjust),
                                                                             collapse = "+"))), data)
  each <- fit("g + a + a:g")
  b <- coef(each)
  pairs <- list(c(2, 1), c(3, 1), c(3, 2))
  for (l in levels(data$g)) {
    of_arm <- lapply(arms, function(arm) {
      w <- setNames(numeric(length(b)), names(b))
      if (arm != "control") w[paste0("a", arm)] <- 1
      if (arm != "control" && l != levels(data$g)[1]) w[paste0("g", l, ":a", arm)] <- 1
      w
    })
    own <- data[data$g == l, ]
    risk <- sapply(arms, function(arm) {
      own$a <- factor(arm, arms)
      mean(1 - summary(survfit(each, newdata = own), times = horizon)$surv)
    })
    for (q in pairs) {
      w <- of_arm[[q[1]]] - of_arm[[q[2]]]
      name <- paste0(arms[q[1]], " - ", arms[q[2]], ", ", l)
      note(model, "coef", sum(w * b), name)
      note(model, "se", sqrt(as.numeric(t(w) %*% vcov(each) %*% w)), name)
      note(model, "risk_difference", risk[q[1]] - risk[q[2]], name)
    }
  }
  tests <- list(`all arms` = fit("g + a"))
  for (q in pairs) { # this pair alike in all levels: its difference x, the rest y with g
    data$x <- (data$a == arms[q[1]]) * 1
    data$y <- (data$a %in% arms[q]) * 1
    tests[[paste(arms[q[1]], "-", arms[q[2]])]] <- fit("g + x + y + y:g")
  }
  for (name in names(tests)) {
    test <- anova(tests[[name]], each)
    note(model, "chisq", test$Chisq[2], name)
    note(model, "df", test$Df[2], name)
    note(model, "p", test[["Pr(>|Chi|)"]][2], name)
  }
}
trial <- read_data("three_arms")
trial$time <- trial$exit
trial$status <- (trial$status == 1) * 1
trial$marker <- ifelse(trial$crp < 14, "1 low", ifelse(trial$crp < 30, "2 middle", "3 high"))
several("three arms", trial, "marker", "age", 20)
write_rows("subgroups")
