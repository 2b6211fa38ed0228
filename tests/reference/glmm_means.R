# Marginal means of binary and ordinal mixed models by emmeans, for a patient whose random effects
# are zero: on the link scale, as probabilities, odds ratios and mean scores. Reads
# cbpp_bernoulli.csv, dic.csv, wine.csv. Writes glmm_means.csv.
source("tests/reference/common.R")
suppressMessages({library(lme4); library(ordinal); library(emmeans)})

# One row of an emmeans table a label; columns vary with what was asked.
record <- function(model, what, table, by) {
  table <- as.data.frame(table)
  label <- do.call(paste, c(lapply(table[by], as.character), sep = " : "))
  for (column in setdiff(names(table), c(by, "df", "null")))
    if (is.numeric(table[[column]])) note(model, paste(what, column), table[[column]], label)
}

tight <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5),
                      check.conv.singular = "ignore")

cbpp <- read_data("cbpp_bernoulli")
cbpp$period <- factor(cbpp$period)
fit <- glmer(disease ~ period + (1 | herd), cbpp, binomial, nAGQ = 15, control = tight)
m <- emmeans(fit, "period")
record("cbpp", "link", summary(m, infer = TRUE), "period")
record("cbpp", "response", summary(m, type = "response", infer = c(TRUE, FALSE)), "period")
record("cbpp", "odds", summary(contrast(m, "revpairwise"), type = "response",
                               infer = TRUE, adjust = "none"), "contrast")

dic <- read_data("dic")
fit <- glmer(positive ~ time * treated + (1 | patient), dic, binomial, nAGQ = 15, control = tight)
m <- emmeans(fit, c("time", "treated"), at = list(time = c(0, 2), treated = c(0, 1)))
by <- c("time", "treated")
record("dic", "link", summary(m, infer = TRUE), by)
record("dic", "response", summary(m, type = "response", infer = c(TRUE, FALSE)), by)
change <- contrast(m, interaction = c("revpairwise", "revpairwise"))
record("dic", "change", summary(change, infer = TRUE),
       c("time_revpairwise", "treated_revpairwise"))
# Differences of probabilities.
record("dic", "risk", summary(contrast(regrid(m, "response"), "revpairwise", by = "time"),
                              infer = TRUE, adjust = "none"), c("contrast", "time"))

wine <- read_data("wine")
wine$rating <- factor(wine$rating, ordered = TRUE)
fit <- clmm(rating ~ temp + contact + (1 | judge), data = wine, nAGQ = 15,
            control = clmm.control(method = "ucminf", gradTol = 1e-6))
by <- c("temp", "contact")
record("wine", "mean", summary(emmeans(fit, by, mode = "mean.class")), by)
record("wine", "above 3", summary(emmeans(fit, by, mode = "exc.prob", at = list(cut = "3|4"))), by)
latent <- contrast(emmeans(fit, "temp", mode = "latent"), "revpairwise")
record("wine", "latent", summary(latent, infer = TRUE), "contrast")

write_rows("glmm_means")
