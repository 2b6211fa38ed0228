# Shared by the references of linear mixed models: REML fits at full precision, and what is recorded
# of their tests and random effects.
source("tests/reference/polished.R")
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)})

fit_reml <- function(formula, data) {
  call <- bquote(lmerTest::lmer(.(formula), data = .(substitute(data)), REML = TRUE,
                                control = polished_control()))
  eval(call, parent.frame())
}

record_tests <- function(model, fit, joint = list()) {
  beta <- fixef(fit)
  p <- length(beta)
  note(model, "coef", beta)
  note(model, "se", sqrt(diag(as.matrix(vcov(fit)))), names(beta))
  note(model, "reml_criterion", REMLcrit(fit))
  note(model, "theta", getME(fit, "theta"), names(getME(fit, "theta")))
  note(model, "sigma", sigma(fit))
  adjusted <- as.matrix(vcovAdj(fit))
  dimnames(adjusted) <- list(names(beta), names(beta))
  note_matrix(model, "kr_vcov", adjusted)
  note_matrix(model, "satterthwaite_vcov_theta_sigma", unname(fit@vcov_varpar))
  single <- diag(p)
  for (k in seq_len(p)) {
    L <- single[k, , drop = FALSE]
    kr <- KRmodcomp(fit, L)$stats
    note(model, "kr_se", sqrt(adjusted[k, k]), names(beta)[k])
    note(model, "kr_df", kr$ddf, names(beta)[k])
    note(model, "kr_f", kr$Fstat, names(beta)[k])
    note(model, "kr_p", kr$p.value, names(beta)[k])
    s <- contest1D(fit, single[k, ], ddf = "Satterthwaite")
    note(model, "satterthwaite_df", s[["df"]], names(beta)[k])
    note(model, "satterthwaite_t", s[["t value"]], names(beta)[k])
    note(model, "satterthwaite_p", s[["Pr(>|t|)"]], names(beta)[k])
  }
  for (name in names(joint)) {
    L <- joint[[name]]
    note_matrix(model, paste0("joint_L ", name), unname(L))
    kr <- KRmodcomp(fit, L)$stats
    for (q in c("Fstat", "FstatU", "ndf", "ddf", "F.scaling", "p.value", "p.valueU"))
      note(model, paste0("kr_joint_", q), kr[[q]], name)
    s <- contestMD(fit, L, ddf = "Satterthwaite")
    note(model, "satterthwaite_joint_f", s[["F value"]], name)
    note(model, "satterthwaite_joint_ndf", s[["NumDF"]], name)
    note(model, "satterthwaite_joint_ddf", s[["DenDF"]], name)
    note(model, "satterthwaite_joint_p", s[["Pr(>F)"]], name)
  }
}

rows_of <- function(fit, pattern) {
  names <- names(fixef(fit))
  diag(length(names))[grepl(pattern, names), , drop = FALSE]
}

record_blups <- function(model, fit) {
  r <- ranef(fit, condVar = TRUE)
  for (g in names(r)) {
    table <- r[[g]]
    note_matrix(model, paste0("blup ", g), table)
    v <- attr(table, "postVar")
    if (is.list(v)) next
    for (a in seq_len(ncol(table))) for (b in seq_len(a))
      note(model, paste0("blup_cov ", g, " ", names(table)[a], " | ", names(table)[b]), v[a, b, ],
           rownames(table))
  }
}
