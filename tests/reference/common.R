# Shared by the reference scripts: collect results as long rows and write them with all their
# digits. Run every script from the repository root: Rscript tests/reference/<topic>.R

options(digits = 17, stringsAsFactors = FALSE, warn = 1)
reference_dir <- file.path("tests", "reference")
stopifnot("run from the repository root" = dir.exists(reference_dir))

rows <- new.env()
rows$all <- list()

# One result, or a vector of results with one term each.
note <- function(model, quantity, value, term = NULL) {
  if (is.null(term)) term <- if (is.null(names(value))) "" else names(value)
  value <- as.numeric(value)
  rows$all[[length(rows$all) + 1]] <- data.frame(
    model = model, term = as.character(term), quantity = quantity,
    value = ifelse(is.na(value), "NA", trimws(formatC(value, digits = 17, format = "g"))))
}

# A matrix: the term is "row:column".
note_matrix <- function(model, quantity, m) {
  m <- as.matrix(m)
  r <- if (is.null(rownames(m))) seq_len(nrow(m)) else rownames(m)
  k <- if (is.null(colnames(m))) seq_len(ncol(m)) else colnames(m)
  note(model, quantity, as.vector(m), term = as.vector(outer(r, k, paste, sep = " | ")))
}

write_rows <- function(topic) {
  out <- do.call(rbind, rows$all)
  dup <- duplicated(out[c("model", "term", "quantity")])
  if (any(dup)) stop("duplicate rows: ", paste(unlist(out[which(dup)[1], 1:3]), collapse = " / "))
  write.csv(out, file.path(reference_dir, paste0(topic, ".csv")), row.names = FALSE, quote = 1:3)
  cat(topic, nrow(out), "rows\n")
}

write_data <- function(data, name) {
  number <- vapply(data, is.double, TRUE)
  data[number] <- lapply(data[number], function(x) ifelse(is.na(x), "",
                                                          trimws(formatC(x, digits = 15,
                                                              format = "g"))))
  write.csv(data, file.path(reference_dir, paste0(name, ".csv")), row.names = FALSE, quote = FALSE)
}

read_data <- function(name) read.csv(file.path(reference_dir, paste0(name, ".csv")))
