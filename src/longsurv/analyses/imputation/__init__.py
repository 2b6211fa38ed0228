"""Values that were not measured, imputed: visits from a mixed model, covariates by chained
equations."""
