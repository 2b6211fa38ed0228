# A marker and death ranked together: Wilcoxon's rank sum (stats), the probability index and its
# variance (survival's concordance; Brunner and Munzel's by its definition), the proportional-odds
# model with a threshold between any two outcomes (MASS's polr; ordinal's clm for its profile).
# Writes truncated.csv, the data, and worst_rank.csv.
source("tests/reference/common.R")
suppressMessages({library(MASS); library(survival); library(ordinal)})

set.seed(17)
n <- 44
treated <- rep(0:1, c(23, 21))
died <- ifelse(runif(n) < ifelse(treated == 1, 0.12, 0.3), ceiling(runif(n, 0, 7)), NA)
value <- ifelse(is.na(died), round(rnorm(n, 6 - 1.1 * treated, 1.5), 1), NA)
data <- data.frame(patient = seq_len(n), treated, died = as.numeric(died), value)
write_data(data, "truncated")

# Lower is better; the dead are worse than everybody, the earlier the worse.
score <- ifelse(is.na(data$died), -data$value, -1000 + ifelse(is.na(data$died), 0, data$died))
x <- score[treated == 1]; y <- score[treated == 0]

w <- suppressWarnings(wilcox.test(x, y, exact = FALSE, correct = FALSE))
note("ranks", "W", unname(w$statistic))
note("ranks", "p normal", w$p.value)
note("ranks", "index", unname(w$statistic) / (length(x) * length(y)))
note("ranks", "concordance", unname(concordance(treated ~ score)$concordance))

# Brunner and Munzel (2000), from the ranks within and overall.
m <- length(x); k <- length(y)
all_ranks <- rank(c(x, y))
v <- sapply(list(list(1:m, x), list(m + 1:k, y)), function(g) {
  r <- all_ranks[g[[1]]]
  sum((r - rank(g[[2]]) - mean(r) + (length(r) + 1) / 2)^2) / (length(r) - 1)
})
se2 <- v[1] / (m * k^2) + v[2] / (k * m^2)
parts <- c(v[1] / (m * k^2), v[2] / (k * m^2))
df <- sum(parts)^2 / sum(parts^2 / c(m - 1, k - 1))
note("ranks", "se", sqrt(se2))
note("ranks", "df", df)
p <- mean(outer(x, y, ">") + 0.5 * outer(x, y, "=="))
half <- qt(0.975, df) * sqrt(se2) / (p * (1 - p))
note("ranks", "confint", plogis(qlogis(p) + c(-half, half)), c("low", "high"))

# Without ties, where R has the exact distribution.
distinct <- !duplicated(score)
a <- score[distinct & treated == 1]; b <- score[distinct & treated == 0]
note("distinct", "p exact", wilcox.test(a, b, exact = TRUE)$p.value)

outcome <- factor(score, ordered = TRUE)
fit <- polr(outcome ~ treated, Hess = TRUE, control = list(reltol = 1e-15, maxit = 2000))
note("polr", "coef", coef(fit))
note("polr", "loglik", as.numeric(logLik(fit)))
clm_fit <- clm(outcome ~ treated, control = clm.control(gradTol = 1e-9))
note("clm", "coef", coef(clm_fit)["treated"])
note("clm", "loglik", as.numeric(logLik(clm_fit)))
note("clm", "confint", confint(clm_fit, type = "profile")["treated", ], c("low", "high"))
none <- clm(outcome ~ 1)
note("clm", "p", pchisq(2 * as.numeric(logLik(clm_fit) - logLik(none)), 1, lower.tail = FALSE))

# Five outcomes.
five <- factor(cut(rank(score), c(0, 8, 17, 26, 35, 44)), ordered = TRUE)
few <- clm(five ~ treated, control = clm.control(gradTol = 1e-10))
note("five", "coef", coef(few)["treated"])
note("five", "loglik", as.numeric(logLik(few)))
note("five", "confint", confint(few, type = "profile")["treated", ], c("low", "high"))
note_matrix("five", "counts", table(as.integer(five), treated))
write_rows("worst_rank")
