# Ordinal mixed models (ordinal::clmm) of the wine tasters' ratings with neighbouring categories
# taken as one, and with factors in sum-to-zero contrasts. Reads the data of glmm.R; writes
# ordinal_merged.csv.
source("tests/reference/common.R")
suppressMessages(library(ordinal))

wine <- read_data("wine")
wine$temp <- factor(wine$temp, c("cold", "warm"))
wine$contact <- factor(wine$contact, c("no", "yes"))
wine$cell <- factor(paste(wine$temp, wine$contact, sep = "_"))
record <- function(model, formula, data, ...) {
  fit <- clmm(formula, data = data, nAGQ = 31, ...,
              control = clmm.control(method = "ucminf", gradTol = 1e-7))
  note(model, "coef", coef(fit))
  note(model, "se", sqrt(diag(vcov(fit)))[names(coef(fit))])
  note(model, "sd", sqrt(VarCorr(fit)$judge[1]), "(Intercept)")
  note(model, "loglik", logLik(fit))
}
merged <- function(codes) within(wine, rating <- factor(codes[rating], ordered = TRUE))
record("named", rating ~ temp + contact + (1 | judge), merged(c(1, 2, 3, 4, 4)))
record("rare", rating ~ temp + contact + (1 | judge), merged(c(1, 1, 2, 3, 3)))
record("sum", rating ~ cell + (1 | judge), within(wine, rating <- factor(rating, ordered = TRUE)),
       contrasts = list(cell = "contr.sum"))
print(table(wine$rating))
write_rows("ordinal_merged")
