# Reference numbers for the cumulative incidence: survival's survfit of a factor (Aalen-Johansen).
#
#   Rscript tests/oracle/competing.R        (from the project's folder)
#
# Writes tests/oracle/mgus2.csv (survival's mgus2: months to plasma cell malignancy or death, whichever
# came first; `pair` joins two rows, to try clusters) and tests/oracle/competing.json.
suppressMessages({library(survival); library(jsonlite)})

d <- with(mgus2, data.frame(
  time = ifelse(pstat == 1, ptime, futime), event = pstat, competing = ifelse(pstat == 1, 0, death),
  female = as.numeric(sex == "F"), pair = (id + 1) %/% 2))
write.csv(d, "tests/oracle/mgus2.csv", row.names = FALSE, quote = FALSE)
d <- read.csv("tests/oracle/mgus2.csv")  # what the tests read

# survfit of a factor passes over `cluster` (3.5.3), so each row's influence is summed by hand there.
describe <- function(d, cluster = NULL, horizons = c(12, 60, 120, 240, 300)) {
  d$state <- factor(d$event + 2 * d$competing, 0:2, c("censored", "event", "competing"))
  fit <- survfit(Surv(time, state) ~ 1, d, conf.type = "log-log", influence = TRUE)
  found <- summary(fit, times = horizons, extend = TRUE)
  k <- match("event", found$states)
  curve <- summary(survfit(Surv(time, event) ~ 1, d), times = horizons, extend = TRUE)
  answer <- data.frame(at = horizons, value = found$pstate[, k], se = found$std.err[, k],
                       lower = found$lower[, k], upper = found$upper[, k],
                       censoring = 1 - curve$surv)
  if (is.null(cluster)) return(answer)
  own <- fit$influence.pstate[, findInterval(horizons, fit$time) + 1, k]  # the first is at the start
  answer$se <- sqrt(colSums(rowsum(own, cluster)^2))
  answer[c("at", "value", "se")]
}

result <- list(
  versions = list(R = as.character(getRversion()), survival = as.character(packageVersion("survival"))),
  rows = describe(d), pairs = describe(d, d$pair),
  women = describe(d[d$female == 1, ]))
write_json(result, "tests/oracle/competing.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
