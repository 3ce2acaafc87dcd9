# Reference numbers for the audit's tests of counts and means, from R.
#
#   Rscript tests/oracle/audit.R        (from the project's folder)
#
# Writes tests/oracle/audit.json. Counts: Pearson, Yates, Fisher (also of more than two levels) and
# linear-by-linear association, (N - 1) r^2. Means: t.test on data made to have exactly the mean and
# SD given.
suppressMessages(library(jsonlite))

tables <- list(
  sex = list(c(37, 41), c(5, 7)),
  etiology = list(c(33, 38), c(4, 5), c(3, 3), c(2, 2)),
  ecog = list(c(14, 16), c(23, 26), c(5, 6)),
  dcr_1m = list(c(42, 44), c(0, 2)),
  dcr_3m = list(c(39, 38), c(1, 7)),
  uneven = list(c(3, 14), c(9, 2), c(6, 1), c(0, 4)))

count <- function(rows) {
  table <- do.call(rbind, rows)
  plain <- suppressWarnings(chisq.test(table, correct = FALSE))
  yates <- if (nrow(table) == 2) suppressWarnings(chisq.test(table, correct = TRUE)) else NULL
  level <- rep(row(table), table)
  arm <- rep(col(table), table)
  trend <- (sum(table) - 1) * cor(level, arm)^2
  list(table = table, pearson = c(unname(plain$statistic), plain$p.value),
       yates = if (!is.null(yates)) c(unname(yates$statistic), yates$p.value),
       fisher = fisher.test(table)$p.value,
       trend = c(trend, pchisq(trend, 1, lower.tail = FALSE)))
}

exactly <- function(n, mean, sd) { x <- seq_len(n); mean + sd * (x - mean(x)) / sd(x) }
pairs <- list(
  age = list(n = c(42, 48), mean = c(60.3, 59.7), sd = c(14.0, 13.2)),
  diameter = list(n = c(42, 48), mean = c(11.5, 11.0), sd = c(3.7, 3.0)),
  uneven = list(n = c(5, 60), mean = c(4.1, 7.0), sd = c(6.0, 1.1)))
means <- function(g) {
  x <- exactly(g$n[1], g$mean[1], g$sd[1])
  y <- exactly(g$n[2], g$mean[2], g$sd[2])
  c(g, list(student = t.test(x, y, var.equal = TRUE)$p.value, welch = t.test(x, y)$p.value))
}

out <- list(versions = list(R = R.version.string), counts = lapply(tables, count),
            means = lapply(pairs, means))
writeLines(toJSON(out, digits = 12, auto_unbox = TRUE, pretty = TRUE, null = "null"),
           "tests/oracle/audit.json")
