# Simultaneous comparisons of marginal means: Tukey's of a mixed model under Kenward-Roger, Dunnett's
# and Tukey's by the multivariate t (mvtnorm, through emmeans) of a linear model. Reads the data of
# make_data.R; writes simultaneous.csv.
source("tests/reference/common.R")
source("tests/reference/lmm_tests.R")
suppressMessages(library(emmeans))
emm_options(opt.digits = FALSE)
set.seed(1)

put <- function(model, table, by = NULL) {
  label <- if (is.null(by)) as.character(table$contrast) else
    paste(table$contrast, table[[by]], sep = " : ")
  for (q in c("estimate", "SE", "df", "lower.CL", "upper.CL", "p.value"))
    note(model, q, table[[q]], label)
}

visits <- read_data("visits")
visits$arm <- factor(visits$arm, c("control", "active"))
visits$patient <- factor(visits$patient)
visits$visit <- factor(visits$visit)
mixed <- fit_reml(y ~ visit * arm + (1 | patient), visits)
means <- emmeans(mixed, ~ visit | arm, lmer.df = "kenward-roger")
for (how in c("tukey", "bonferroni"))
  put(paste0("visits_", how), as.data.frame(summary(contrast(means, "revpairwise"), infer = TRUE,
                                                    adjust = how)), "arm")
pastes <- read_data("pastes")
plain <- lm(strength ~ batch, pastes)
put("pastes_tukey", as.data.frame(summary(contrast(emmeans(plain, "batch"), "revpairwise"),
                                          infer = TRUE, adjust = "tukey")))
exact <- function(x) summary(x, infer = TRUE, adjust = "mvt", cross.adjust = "none")
put("pastes_dunnett", as.data.frame(exact(contrast(emmeans(plain, "batch"), "trt.vs.ctrl"))))
write_rows("simultaneous")
