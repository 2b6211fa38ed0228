# Events between two times: survreg(Surv(left, right, type = "interval2")) turned into hazard ratios.
# Reads windows.csv; writes hazard_windows.csv.
source("tests/reference/common.R")
suppressMessages(library(survival))

seen <- read_data("windows")
precise <- survreg.control(rel.tolerance = 1e-14, maxiter = 200)

# b = -beta / scale, log shape = -log scale; covariance by the delta method, robust where it is asked.
record <- function(model, fit, dist, V = NULL) {
  p <- length(coef(fit)) - 1
  coefs <- -coef(fit) / fit$scale
  U <- if (is.null(V)) vcov(fit) else V
  J <- diag(-1 / fit$scale, p + 1)
  if (dist == "weibull") J <- rbind(cbind(J, coef(fit) / fit$scale), c(rep(0, p + 1), -1))
  V <- J %*% U %*% t(J)
  note(model, "coef", coefs[-1])
  note(model, "se", sqrt(diag(V))[2:(p + 1)], names(coefs)[-1])
  note(model, "log_level", unname(coefs[1]))
  note(model, "loglik", fit$loglik[2])
  if (dist == "weibull") {
    note(model, "log_shape", -log(fit$scale))
    note(model, "log_shape_se", sqrt(V[p + 2, p + 2]))
  }
}

# Sandwich of a Weibull fit, from the numeric scores of its clusters in (intercept and slopes, log scale).
sandwich <- function(fit, data, cluster) {
  X <- model.matrix(~ trt + karno + age, data)
  left <- ifelse(is.na(data$left), 0, data$left); right <- ifelse(is.na(data$right), Inf, data$right)
  each <- function(par) {
    k <- exp(-par[5]); size <- exp(drop(X %*% par[1:4]))
    ifelse(left == right, dweibull(left, k, size, log = TRUE),
           log(pweibull(left, k, size, lower.tail = FALSE) - pweibull(right, k, size, lower.tail = FALSE)))
  }
  score <- rowsum(numDeriv::jacobian(each, c(coef(fit), log(fit$scale))), cluster)
  vcov(fit) %*% crossprod(score) %*% vcov(fit)
}

response <- Surv(left, right, type = "interval2") ~ trt + karno + age
for (dist in c("exponential", "weibull")) {
  record(dist, survreg(response, seen, dist = dist, control = precise), dist)
  record(paste0(dist, "_weighted"),
         survreg(response, seen, weights = twice, dist = dist, control = precise), dist)
}
# survreg's own robust covariance of a Weibull fit is another than that of its likelihood's scores
record("exponential_clustered",
       survreg(update(response, . ~ . + cluster(celltype)), seen, dist = "exponential",
               control = precise), "exponential")
plain <- survreg(response, seen, dist = "weibull", control = precise)
record("weibull_clustered", plain, "weibull", sandwich(plain, seen, seen$celltype))
# seen once: by then, or not yet
once <- subset(seen, !is.na(left) | !is.na(right))
at <- 40 + 10 * (seq_len(nrow(once)) %% 9)
dead <- ifelse(is.na(once$right), FALSE, once$right <= at)
once$left <- ifelse(dead, NA, at); once$right <- ifelse(dead, at, NA)
record("weibull_once", survreg(response, once, dist = "weibull", control = precise), "weibull")
write_rows("hazard_windows")
