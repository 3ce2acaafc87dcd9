# Reference numbers where an event competes: the cumulative incidence by survival's survfit of a factor
# (Aalen-Johansen), calibration by Fine and Gray's regression (survival's finegray and coxph, Hmisc's
# splines).
#
#   Rscript tests/oracle/competing.R        (from the project's folder)
#
# Writes tests/oracle/mgus2.csv (survival's mgus2: months to plasma cell malignancy or death, whichever
# came first; `pair` joins two rows, to try clusters) and tests/oracle/competing.json.
suppressMessages({library(survival); library(jsonlite)})

d <- with(mgus2, data.frame(
  time = ifelse(pstat == 1, ptime, futime), event = pstat, competing = ifelse(pstat == 1, 0, death),
  female = as.numeric(sex == "F"), pair = (id + 1) %/% 2, age = age))
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

# Risks of a model that was made up: -log(1 - risk) is 0.1 exp(0.02 (age - 70)) at 120 months.
calibrate <- function(d, horizon, cluster = NULL, errors = FALSE) {
  if (is.null(cluster)) cluster <- seq_len(nrow(d))
  d$id <- seq_len(nrow(d)); d$group <- cluster
  d$x <- log(0.1) + 0.02 * (d$age - 70)
  # Administratively censored at the horizon: the regression sees nothing later.
  seen <- d$time <= horizon
  d$time <- pmin(d$time, horizon); d$event <- d$event * seen; d$competing <- d$competing * seen
  d$state <- factor(d$event + 2 * d$competing, 0:2, c("censored", "event", "competing"))
  data <- finegray(Surv(time, state) ~ ., d, etype = "event")
  weighted <- function(formula, data) coxph(formula, data, weights = fgwt, cluster = group,
                                            control = coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 50))
  hazard <- function(data) {
    fit <- survfit(coxph(Surv(fgstart, fgstop, fgstatus) ~ offset(x), data, weights = fgwt),
                   newdata = data.frame(x = 0), se.fit = FALSE)
    summary(fit, times = horizon)$cumhaz
  }
  slope <- weighted(Surv(fgstart, fgstop, fgstatus) ~ x, data)
  knots <- attr(Hmisc::rcspline.eval(d$x, nk = 3), "knots")
  columns <- function(x) Hmisc::rcspline.eval(x, knots = knots, inclx = TRUE)
  own <- columns(data$x); data$one <- own[, 1]; data$two <- own[, 2]
  smooth <- weighted(Surv(fgstart, fgstop, fgstatus) ~ one + two, data)
  base <- survfit(smooth, newdata = data.frame(one = 0, two = 0), se.fit = FALSE)
  at <- summary(base, times = horizon)$cumhaz
  observed <- function(x) 1 - exp(-at * exp(drop(columns(x) %*% coef(smooth))))
  gap <- abs(observed(d$x) - (1 - exp(-exp(d$x))))
  # How the hazard with the slope held at 1 changes with a row's weight, summed within clusters.
  eps <- 1e-5
  whole <- hazard(data)
  moved <- if (errors) vapply(d$id, function(i) {
    more <- data; more$fgwt[more$id == i] <- more$fgwt[more$id == i] * (1 + eps)
    (hazard(more) - whole) / eps
  }, 0)
  list(horizon = horizon, slope = unname(coef(slope)), slope_se = sqrt(vcov(slope)[1, 1]),
       intercept = log(whole),
       intercept_se = if (errors) sqrt(sum(rowsum(moved, cluster)^2)) / whole,
       knots = 1 - exp(-exp(knots)), ici = mean(gap), e50 = unname(quantile(gap, 0.5)),
       e90 = unname(quantile(gap, 0.9)), low = observed(min(d$x)), high = observed(max(d$x)))
}
few <- d[seq(1, nrow(d), 4), ]
apart <- few; apart$time <- apart$time + seq_len(nrow(few)) / 1e4  # no ties: weights are exact

result <- list(
  versions = list(R = as.character(getRversion()), survival = as.character(packageVersion("survival"))),
  rows = describe(d), pairs = describe(d, d$pair),
  women = describe(d[d$female == 1, ]),
  calibration = list(calibrate(d, 120), calibrate(d, 240)),
  untied = calibrate(apart, 120, errors = TRUE),
  untied_pairs = calibrate(apart, 120, few$pair %/% 2, errors = TRUE))
write_json(result, "tests/oracle/competing.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
