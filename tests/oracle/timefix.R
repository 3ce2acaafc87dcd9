# Reference numbers where times differ by rounding alone: R's `timefix`, which survival applies to every
# fit, curve and concordance.
#
#   Rscript tests/oracle/timefix.R        (from the project's folder)
#
# Writes tests/oracle/timefix.json. The data are tests/oracle/mgus2.csv (see competing.R); follow-up in
# years is the difference of two ages, as registries give it, so that most ties of the months are lost to
# rounding. `exact` has the figures with timefix off, to show that it matters.
suppressMessages({library(survival); library(jsonlite)})

d <- read.csv("tests/oracle/mgus2.csv")
d$years <- (d$age + d$time / 12) - d$age
d$ended <- as.integer(d$event | d$competing)

describe <- function(timefix) {
  control <- coxph.control(eps = 1e-11, toler.chol = 1e-13, iter.max = 100, timefix = timefix)
  fit <- coxph(Surv(years, ended) ~ female + age, d, ties = "efron", control = control)
  order <- concordance(Surv(years, ended) ~ age, d, reverse = TRUE, timefix = timefix)
  curve <- survfit(Surv(years, ended) ~ 1, d, conf.type = "log-log", timefix = timefix)
  list(times = length(curve$time), coef = unname(coef(fit)), se = unname(sqrt(diag(fit$var))),
       loglik = fit$loglik, hazard = sum(basehaz(fit, centered = TRUE)$hazard[length(curve$time)]),
       concordance = unname(order$concordance), concordance_se = sqrt(unname(order$var)),
       survival = summary(curve, times = c(1.01, 5.01, 10.01))$surv)
}

out <- list(versions = list(R = R.version.string, survival = as.character(packageVersion("survival"))),
            joined = describe(TRUE), exact = describe(FALSE))
write(toJSON(out, digits = NA, auto_unbox = TRUE, pretty = TRUE), "tests/oracle/timefix.json")
