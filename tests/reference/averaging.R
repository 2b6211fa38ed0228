# Marginal means with weights other than equal ones, contrasts given by their weights, and slopes, of
# mixed models under Kenward-Roger (emmeans). Reads the data of make_data.R; writes averaging.csv.
source("tests/reference/common.R")
source("tests/reference/lmm_tests.R")
suppressMessages(library(emmeans))
emm_options(opt.digits = FALSE, msg.interaction = FALSE)

put <- function(model, table, label, estimate) {
  for (q in c("SE", "df", "lower.CL", "upper.CL")) note(model, q, table[[q]], label)
  note(model, "estimate", table[[estimate]], label)
}

# Neither balanced in the sexes nor complete: one patient in five has no second value.
twoarm <- read_data("twoarm")
twoarm$phase <- factor(twoarm$phase, c("baseline", "after"))
twoarm$group <- factor(twoarm$group, c("control", "ivig"))
twoarm$sex <- factor(ifelse(twoarm$patient %% 3 == 0, "m", "f"))
twoarm$patient <- factor(twoarm$patient)
twoarm <- twoarm[!(as.integer(as.character(twoarm$patient)) %% 5 == 0 & twoarm$phase == "after"), ]
fit <- fit_reml(y ~ phase * group + sex * phase + age + (1 | patient), twoarm)
for (how in c("equal", "proportional", "cells")) {
  means <- emmeans(fit, ~ phase * group, weights = how, lmer.df = "kenward-roger")
  table <- as.data.frame(summary(means, infer = TRUE))
  put(how, table, paste(table$phase, table$group), "emmean")
}
one <- emmeans(fit, ~ group, weights = "proportional", lmer.df = "kenward-roger")
table <- as.data.frame(summary(one, infer = TRUE))
put("proportional_group", table, as.character(table$group), "emmean")
one <- emmeans(fit, ~ group, weights = "cells", lmer.df = "kenward-roger")
table <- as.data.frame(summary(one, infer = TRUE))
put("cells_group", table, as.character(table$group), "emmean")

asked <- list(late = c(-1, 1, -1, 1) / 2, one = c(0, -1, 0, 1))
means <- emmeans(fit, ~ phase * group, lmer.df = "kenward-roger")
for (how in c("none", "mvt", "holm", "bonferroni")) {
  set.seed(1)
  table <- as.data.frame(summary(contrast(means, asked), infer = TRUE, adjust = how))
  put(paste0("asked_", how), table, table$contrast, "estimate")
  note(paste0("asked_", how), "p.value", table$p.value, table$contrast)
}

growth <- read_data("orthodont")
growth$Sex <- factor(growth$Sex, c("Female", "Male"))
straight <- fit_reml(distance ~ Sex * age + (age | Subject), growth)
bent <- fit_reml(log(distance) ~ Sex * log(age) + I(age^2) + (1 | Subject), growth)
for (model in c("straight", "bent")) {
  slopes <- emtrends(get(model), ~ Sex, var = "age", delta.var = 1e-6, lmer.df = "kenward-roger")
  table <- as.data.frame(summary(slopes, infer = TRUE))
  put(paste0("slopes_", model), table, as.character(table$Sex), "age.trend")
  table <- as.data.frame(summary(contrast(slopes, "revpairwise"), infer = TRUE))
  put(paste0("slopes_", model), table, "Male - Female", "estimate")
}
early <- emtrends(bent, ~ Sex, var = "age", at = list(age = 9), delta.var = 1e-6,
                  lmer.df = "kenward-roger")
table <- as.data.frame(summary(early, infer = TRUE))
put("slopes_early", table, as.character(table$Sex), "age.trend")
write_rows("averaging")
