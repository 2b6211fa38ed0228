# Time-dependent AUC and Brier score with weights for censoring, of a made-up risk of the patients
# of lung.csv, from landmarks. Writes prediction_quality.csv.
source("tests/reference/common.R")
suppressMessages({library(survival); library(riskRegression)})

lung <- read_data("lung")
lung$risk <- plogis(-0.2 + 0.04 * (lung$age - 62) + 0.8 * (lung$sex == 1))
for (s in c(0, 100)) {
  here <- lung[lung$time > s, ]
  for (horizon in c(250, 365)) {
    score <- Score(list(ours = here$risk), formula = Surv(time, status) ~ 1, data = here,
                   times = horizon, metrics = c("auc", "brier"), cens.model = "km",
                   se.fit = FALSE, conf.int = FALSE, split.method = "none")
    model <- paste("lung", s, horizon)
    auc <- as.data.frame(score$AUC$score); brier <- as.data.frame(score$Brier$score)
    note(model, "auc", auc$AUC[auc$model == "ours"])
    note(model, "brier", brier$Brier[brier$model == "ours"])
    note(model, "brier", brier$Brier[brier$model == "Null model"], "null")
  }
}
write_rows("prediction_quality")
