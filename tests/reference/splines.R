# Natural and restricted cubic splines, with R's default knots. Writes splines.csv.
suppressPackageStartupMessages({library(splines); library(Hmisc)})
set.seed(3)
x <- round(c(rnorm(60, 60, 12), rexp(20, 0.1)), 2); z <- c(rep(0, 12), round(rgamma(138, 2, 0.3), 1))
new <- c(-5, 0, 10, 33.3, 60, 75, 120)
out <- list()
emit <- function(name, m, at) { m <- as.matrix(m); for (j in seq_len(ncol(m))) for (i in seq_len(nrow(m))) cat(sprintf("%s,%d,%.17g,%.17g\n", name, j, at[i], m[i, j]), file = f) }
f <- file("tests/reference/splines.csv", "w"); cat("basis,column,x,value\n", file = f)
for (v in c("x", "z")) { d <- get(v)
 emit(paste0("data_", v), cbind(d), d)
 b <- ns(d, df = 4); emit(paste0("ns4_", v), predict(b, new), new)
 b <- ns(d, df = 3, intercept = TRUE); emit(paste0("ns3i_", v), predict(b, new), new)
 b <- ns(d, knots = c(5, 10), Boundary.knots = c(1, 40)); emit(paste0("nsk_", v), predict(b, new), new)
 b <- ns(d); emit(paste0("ns1_", v), predict(b, new), new)
 for (k in c(3, 4, 5, 6, 7)) { kn <- rcspline.eval(d, nk = k, knots.only = TRUE)
  emit(paste0("rcs", k, "_", v), rcspline.eval(new, knots = kn, inclx = TRUE), new); emit(paste0("knots", k, "_", v), cbind(kn), kn) }
}
big <- round(rlnorm(400, 2, 1), 1)
emit("data_big", cbind(big), big)
for (k in 3:7) { kn <- rcspline.eval(big, nk = k, knots.only = TRUE); emit(paste0("knots", k, "_big"), cbind(kn), kn); emit(paste0("rcs", k, "_big"), rcspline.eval(new, knots = kn, inclx = TRUE), new) }
close(f)
