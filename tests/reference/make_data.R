# The made-up data sets of the mixed-model references (seeded, rounded): sine, twoarm, visits,
# sites, raters; and Penicillin and Pastes as lme4 has them.
source("tests/reference/common.R")
RNGversion("4.0.0")

# The second row of the project's table of reference numbers.
i <- 0:29
g <- i %/% 5
x <- sin(1.3 * i) + 0.1 * i
sine <- data.frame(i = i, g = g, x = x,
                   y = 2 + 0.5 * x + c(-.6, .3, .9, -.2, .4, -.8)[g + 1] + 0.5 * sin(2.9 * i + 0.4))
write_data(sine, "sine")

# Two arms, 19 treated and 22 not, two visits, some missing; the treated begin higher and vary
# more.
set.seed(2013)
patient <- data.frame(patient = 1:41, group = rep(c("ivig", "control"), c(19, 22)),
                      age = round(rnorm(41, 68, 11)))
intercept <- ifelse(patient$group == "ivig", rnorm(41, 0.6, 1.1), rnorm(41, 0, 0.7))
twoarm <- merge(patient, data.frame(phase = c("baseline", "after")))
twoarm <- twoarm[order(twoarm$patient, twoarm$phase != "baseline"), ]
after <- twoarm$phase == "after"
treated <- twoarm$group == "ivig"
twoarm$y <- round(5 + intercept[twoarm$patient] + 0.01 * (twoarm$age - 68) - 0.5 * after - 0.6 *
                  after * treated +
                    rnorm(nrow(twoarm), 0, 0.6), 3)
drop <- (after & twoarm$patient %in% c(2, 7, 11, 23, 30, 31,
                                       38)) | (!after & twoarm$patient %in% c(5, 35))
write_data(twoarm[!drop, ], "twoarm")

# Two arms, up to five visits on days 1, 2, 4, 7, 11; autocorrelated errors, growing variance,
# drop-out and gaps.
set.seed(4711)
days <- c(1, 2, 4, 7, 11)
visits <- do.call(rbind, lapply(1:36, function(k) {
  arm <- if (k %% 2) "control" else "active"
  correlation <- 0.85^abs(outer(days, days, "-"))
  spread <- c(0.8, 0.9, 1.1, 1.2, 1.4)
  e <- as.vector(t(chol(correlation * outer(spread, spread))) %*% rnorm(5))
  data.frame(patient = k, arm = arm, visit = 1:5, day = days,
             y = round(10 - 0.2 * days - 0.1 * days * (arm == "active") + rnorm(1, 0, 0.7) + e, 3))
}))
gone <- (visits$patient %% 5 == 0 & visits$visit == 5) |
  (visits$patient %% 7 == 0 & visits$visit >= 4) |
  (visits$patient %% 9 == 4 & visits$visit == 3)
write_data(visits[!gone, ], "visits")

# Patients within sites, three visits.
set.seed(99)
sites <- do.call(rbind, lapply(1:8, function(s) {
  of_site <- rnorm(1, 0, 0.8)
  do.call(rbind, lapply(seq_len(3 + s %% 4), function(k) {
    treated <- (k + s) %% 2
    of_patient <- rnorm(1, 0, 1)
    visit <- seq_len(3 - (k == 3 & s %% 3 == 0))
    data.frame(site = paste0("s", s), id = paste0("p", k), treated = treated, time = visit - 1,
               y = round(3 + of_site + of_patient + 0.4 * (visit - 1) - 0.3 * treated *
                         (visit - 1) +
                           rnorm(length(visit), 0, 0.7), 3))
  }))
}))
write_data(sites, "sites")

# sleepstudy with gaps: a fixed pattern, one subject with a single row and one with two.
data(sleepstudy, package = "lme4")
row <- seq_len(nrow(sleepstudy))
subject <- as.character(sleepstudy$Subject)
keep <- !(row %% 7 == 3 | row %% 11 == 5) & !(subject == "370" & sleepstudy$Days != 4) &
  !(subject == "309" & !sleepstudy$Days %in% c(1, 8))
write_data(sleepstudy[keep, ], "sleepstudy_gaps")

# 30 patients, each measured by the same 8 raters; some measurements are missing.
set.seed(308)
raters <- expand.grid(rater = paste0("r", 1:8), patient = 1:30)
raters$treated <- raters$patient %% 2
raters$dose <- round(runif(240, 0, 2), 2)
of_patient <- matrix(rnorm(60), 30) %*% chol(matrix(c(1, 0.2, 0.2, 0.3), 2))
of_rater <- rnorm(8, 0, 0.6)
raters$y <- round(4 + 0.5 * raters$treated + 0.3 * raters$dose + of_patient[raters$patient, 1] +
                    of_patient[raters$patient, 2] * raters$dose + of_rater[as.integer(raters$rater)]
                  + rnorm(240, 0, 0.8), 3)
write_data(raters[seq_len(240) %% 13 != 5, ], "raters")

# Davies and Goldsmith's assays of penicillin (24 plates x 6 samples) and of paste (casks in
# batches), of the package lme4.
write_data(lme4::Penicillin, "penicillin")
write_data(lme4::Pastes, "pastes")

# veteran's patients seen every 7, 16, ... 43 days in turn: of a death the last visit before it and the first
# after it, of every seventh its very day; nothing stands for a first visit at entry or for no death.
seen <- read_data("veteran")
gap <- 7 + 9 * ((seq_len(nrow(seen)) - 1) %% 5)
known <- seen$status == 1 & (seq_len(nrow(seen)) - 1) %% 7 == 0
before <- ifelse(seen$status == 0 | known, seen$time, gap * floor(seen$time / gap))
after <- ifelse(seen$status == 0, NA, ifelse(known, seen$time, gap * floor(seen$time / gap) + gap))
write_data(data.frame(left = as.double(ifelse(before == 0, NA, before)), right = as.double(after),
                      seen[c("trt", "karno", "age", "celltype")],
                      twice = 1 + (seq_len(nrow(seen)) %% 3 == 0)), "windows")
