# Parametric proportional-hazards models: survival::survreg turned into hazard ratios, Poisson
# regression on split follow-up for piecewise constant hazards (also with entry times, weights,
# clusters, an offset), and likelihoods written out here for what neither fits: a Weibull hazard
# with entry times, and a treatment whose log hazard ratio is linear in log time.
# Reads veteran.csv, rossi.csv, heart.csv, lung.csv; writes hazard.csv.
source("tests/reference/common.R")
source("tests/reference/polished.R")
suppressMessages(library(survival))

# The coefficients of an accelerated model with extreme-value errors, as log hazard ratios:
# b = -beta / scale, log shape = -log scale, log cumulative hazard at time 1 = -intercept / scale.
record_survreg <- function(model, formula, data, dist, times, newdata) {
  fit <- survreg(formula, data, dist = dist, control = survreg.control(rel.tolerance = 1e-14,
                                                                       maxiter = 200))
  p <- length(coef(fit)) - 1
  scale <- fit$scale
  coefs <- -coef(fit) / scale
  J <- diag(-1 / scale, p + 1)
  if (dist == "weibull") {
    J <- cbind(J, coef(fit) / scale)         # by log scale
    J <- rbind(J, c(rep(0, p + 1), -1))
  }
  V <- J %*% vcov(fit) %*% t(J)
  note(model, "coef", coefs[-1])
  note(model, "se", sqrt(diag(V))[2:(p + 1)], names(coefs)[-1])
  note(model, "log_level", coefs[1])
  if (dist == "weibull") {
    note(model, "log_shape", -log(scale))
    note(model, "log_shape_se", sqrt(V[p + 2, p + 2]))
  }
  note(model, "loglik", fit$loglik[2])
  # log cumulative hazard a + x'b + k log t, its standard error by the delta method
  for (t in times) {
    x <- c(1, as.numeric(newdata))
    lp <- sum(x * coefs)
    log_H <- lp + log(t) / scale
    D <- c(x, if (dist == "weibull") log(t) / scale)
    se <- sqrt(drop(D %*% V %*% D))
    note(model, "survival", exp(-exp(log_H)), paste("t", t))
    note(model, "survival_se", exp(-exp(log_H)) * exp(log_H) * se, paste("t", t))
    z <- qnorm(0.975)
    note(model, "survival_low", exp(-exp(log_H + z * se)), paste("t", t))
    note(model, "survival_high", exp(-exp(log_H - z * se)), paste("t", t))
  }
}

veteran_rows <- read_data("veteran")
for (dist in c("exponential", "weibull"))
  record_survreg(paste0("veteran_", dist), Surv(time, status) ~ trt + karno + age, veteran_rows,
                 dist, c(30, 90, 180), c(1, 60, 58))
rossi_rows <- read_data("rossi")
record_survreg("rossi_weibull", Surv(week, arrest) ~ fin + age + prio, rossi_rows, "weibull",
               c(10, 26, 52), c(1, 24, 3))

# Piecewise constant hazard: every follow-up split at the cuts, events as Poisson counts.
record_pieces <- function(model, data, left, covariates, cuts, weight = NULL, offset = NULL,
                          cluster = NULL) {
  data$row_ <- seq_len(nrow(data))
  data$weight_ <- if (is.null(weight)) 1 else data[[weight]]
  data$offset_ <- if (is.null(offset)) 0 else data[[offset]] - median(data[[offset]])
  data$cluster_ <- if (is.null(cluster)) data$row_ else data[[cluster]]
  names(data)[match(left, names(data))] <- c(if (length(left) == 3) "from_", "to_", "event_")
  if (length(left) == 2) data$from_ <- 0
  split <- data
  if (length(cuts))
    split <- survSplit(Surv(from_, to_, event_) ~ ., data, cut = cuts, episode = "piece_")
  split$exposure_ <- split$to_ - split$from_
  pieces <- if (length(cuts)) "0 + factor(piece_)" else "1"
  formula <- as.formula(paste("event_ ~", paste(c(pieces, covariates), collapse = " + ")))
  fit <- glm(formula, poisson, split, weights = weight_, offset = log(exposure_) + offset_,
             control = glm.control(epsilon = 1e-15, maxit = 100))
  n <- length(cuts) + 1
  note(model, "coef", coef(fit)[-seq_len(n)])
  note(model, "se", sqrt(diag(vcov(fit)))[-seq_len(n)], names(coef(fit))[-seq_len(n)])
  note(model, "log_hazard_at_0", unname(coef(fit)[seq_len(n)]), paste("piece", seq_len(n)))
  mu <- fitted(fit)
  note(model, "loglik", sum(split$weight_ * (split$event_ * log(mu / split$exposure_) - mu)))
  score <- model.matrix(fit) * (split$weight_ * (split$event_ - mu))
  score <- rowsum(score, split$cluster_)
  V <- vcov(fit) %*% crossprod(score) %*% vcov(fit)
  note(model, "robust_se", sqrt(diag(V))[-seq_len(n)], names(coef(fit))[-seq_len(n)])
}

record_pieces("rossi_piecewise", rossi_rows, c("week", "arrest"), c("fin", "age", "prio"),
              c(13, 26, 39))
heart_rows <- read_data("heart")
record_pieces("heart_piecewise", heart_rows, c("start", "stop", "event"),
              c("age", "year", "surgery", "transplant"), c(20, 60, 180), cluster = "id")
lung_rows <- read_data("lung")
record_pieces("lung_weighted_piecewise", lung_rows, c("time", "status"), c("age", "sex", "ecog"),
              c(200, 400), weight = "weight", cluster = "inst")
record_pieces("lung_offset_exponential", lung_rows, c("time", "status"), c("sex", "ecog"), c(),
              offset = "known")

# Likelihoods written out: par holds the covariates, then the baseline; `size` is about their
# standard errors, in whose units the optimum is sought.
record_own <- function(model, minus_loglik, start, size, names) {
  fn <- function(u) minus_loglik(u * size)
  u <- start / size
  for (round in 1:5) u <- optim(u, fn, method = "BFGS", control = list(reltol = 1e-15,
                                                                       maxit = 1000))$par
  found <- newton(fn, u, step_size = 0.1)
  par <- found$par * size
  p <- length(names)
  note(model, "coef", par[seq_len(p)], names)
  note(model, "se", (sqrt(diag(solve(found$hessian))) * size)[seq_len(p)], names)
  note(model, "loglik", -minus_loglik(par))
  rest <- par[-seq_len(p)]
  note(model, "baseline", rest, paste("par", seq_along(rest)))
}

# Weibull with entry times; (log cumulative hazard at 100 days, log shape)
heart_names <- c("age", "year", "surgery", "transplant")
heart_X <- as.matrix(heart_rows[heart_names])
record_own("heart_weibull_own", function(par) {
  eta <- drop(heart_X %*% par[1:4]) + par[5]
  k <- exp(par[6])
  H <- exp(eta) * ((heart_rows$stop / 100)^k - (heart_rows$start / 100)^k)
  log_h <- eta + par[6] + k * log(heart_rows$stop / 100) - log(heart_rows$stop)
  sum(H) - sum((heart_rows$event == 1) * log_h)
}, c(0, 0, 0, 0, -0.5, -0.5), c(0.015, 0.08, 0.4, 0.3, 0.2, 0.1), heart_names)

# Treatment by log time on a hazard that is constant at its mean over the time at risk (a constant one
# without treatment is another model, and yet another with the groups exchanged): its integral is a
# power of time
record_own("veteran_exponential_log_time_own", function(par) {
  v <- veteran_rows
  arm <- v$trt - 1
  eta <- par[1] * arm + par[2] * v$karno + par[4]
  g <- par[3] * (arm - sum(v$time * arm) / sum(v$time))
  H <- exp(eta) * v$time^(1 + g) / (1 + g)
  sum(H) - sum(v$status * (eta + g * log(v$time)))
}, c(0, -0.03, 0, -3), c(0.5, 0.005, 0.1, 0.3), c("arm", "karno", "arm:log(t)"))

# ... and on a Weibull one
record_own("veteran_weibull_log_time_own", function(par) {
  v <- veteran_rows
  arm <- v$trt - 1
  eta <- par[1] * arm + par[2] * v$karno + par[4]
  k <- exp(par[5]); g <- par[3] * arm
  H <- exp(eta) * k * v$time^(k + g) / (k + g)
  sum(H) - sum(v$status * (eta + par[5] + (k - 1 + g) * log(v$time)))
}, c(0, -0.03, 0, -3, 0), c(0.5, 0.005, 0.1, 0.3, 0.1), c("arm", "karno", "arm:log(t)"))

write_rows("hazard")
