# Means of a response that a model takes the logarithm of, back on its own scale (emmeans). With
# bias.adjust = TRUE emmeans multiplies the geometric mean by 1 + v / 2, a Taylor series of two
# terms (noted as "taylor"); the mean of a log-normal variable is exp(v / 2) times it, here by
# numerical integration over the distribution of new values ("integral"). v is the variance of a
# value of any patient, as vignette("transformations") says of mixed models. Reads the
# example pbc; writes arithmetic_means.csv.
source("tests/reference/common.R")
source("tests/reference/lmm_tests.R")
suppressMessages(library(emmeans))
emm_options(opt.digits = FALSE, msg.interaction = FALSE)

visits <- read.csv("examples/pbc/measurements.csv")
patients <- read.csv("examples/pbc/patients.csv")
bili <- merge(visits[visits$marker == "bili", ], patients, by = "id")
bili <- bili[order(bili$id, bili$year), ]
bili$drug <- factor(bili$drug, c("placebo", "D-penicillamine"))

put <- function(model, fit, v, base = 1, ...) {
  means <- emmeans(fit, ~ drug, ...)
  table <- as.data.frame(summary(means, type = "response", bias.adjust = TRUE, sigma = sqrt(v)))
  note(model, "taylor", table$response, as.character(table$drug))
  plain <- as.data.frame(summary(means, type = "response"))
  note(model, "geometric", plain$response, as.character(plain$drug))
  logs <- as.data.frame(summary(means, type = "link"))
  exact <- vapply(logs$emmean, function(m) {
    integrate(function(z) exp(base * (m + sqrt(v) * z)) * dnorm(z), -16, 20, rel.tol = 1e-12)$value
  }, 0)
  note(model, "integral", exact, as.character(logs$drug))
  note(model, "variance", v)
}

fit <- fit_reml(log(value) ~ drug * year + (1 | id), bili)
v <- as.data.frame(VarCorr(fit))
put("mixed", fit, sum(v$vcov), at = list(year = 2), lmer.df = "asymptotic")
put("typical", fit, sigma(fit)^2, at = list(year = 2), lmer.df = "asymptotic")
one <- lm(log2(value) ~ drug, bili[bili$year == 0, ])
put("linear", one, sigma(one)^2, base = log(2))
write_rows("arithmetic_means")
