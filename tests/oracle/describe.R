# Reference numbers for the description of a cohort, from R's stats and survival packages.
#
#   Rscript tests/oracle/describe.R        (from the project's folder)
#
# Describes tests/oracle/simulated.csv by treatment, and by a made-up site of three levels (the
# patient's number modulo 3), and writes tests/oracle/describe.json: tests and standardised mean
# differences of the characteristics, Kaplan-Meier curves with log-log intervals, medians, numbers at
# risk, log-rank tests, Cox models of each predictor alone and of all together, and Wilson intervals.
# The standardised differences are written here in base R from their definitions.
suppressMessages({library(survival); library(jsonlite)})

data <- read.csv("tests/oracle/simulated.csv", stringsAsFactors = FALSE)
data <- within(data, {
  tumor_number <- factor(tumor_number, c("<=3", ">3"))
  vascular_invasion <- factor(vascular_invasion, c("no", "yes"))
  extrahepatic_metastasis <- factor(extrahepatic_metastasis, c("no", "yes"))
  treatment <- factor(treatment, c("deb_tace", "deb_tace_sorafenib"))
  site <- factor(c("c", "a", "b")[patient %% 3 + 1], c("a", "b", "c"))
})
categories <- c("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "site")

pairs_of <- function(by, f) max(apply(combn(levels(by), 2), 2, function(two) f(by == two[1], by == two[2])))

smd_number <- function(x, by) pairs_of(by, function(a, b)
  abs(mean(x[a]) - mean(x[b])) / sqrt((var(x[a]) + var(x[b])) / 2))

smd_category <- function(x, by) pairs_of(by, function(a, b) {
  p <- prop.table(table(x[a]))[-1]; q <- prop.table(table(x[b]))[-1]
  spread <- function(s) diag(s, length(s)) - s %o% s
  S <- (spread(as.vector(p)) + spread(as.vector(q))) / 2
  sqrt(drop(t(p - q) %*% solve(S) %*% (p - q)))
})

characteristics <- function(by_name) {
  by <- data[[by_name]]
  found <- lapply(setdiff(categories, by_name), function(name) {
    test <- chisq.test(table(data[[name]], by), correct = FALSE)
    list(statistic = unname(test$statistic), df = unname(test$parameter), p = test$p.value,
         smd = smd_category(data[[name]], by))
  })
  names(found) <- setdiff(categories, by_name)
  means <- if (nlevels(by) == 2) t.test(age ~ by, data, var.equal = TRUE)
           else oneway.test(age ~ by, data, var.equal = TRUE)
  ranks <- kruskal.test(age ~ by, data)
  found$age <- list(statistic = unname(means$statistic), p = means$p.value,
    rank_statistic = unname(ranks$statistic), rank_p = ranks$p.value, smd = smd_number(data$age, by),
    mean = unname(tapply(data$age, by, mean)), sd = unname(tapply(data$age, by, sd)),
    quartiles = t(sapply(split(data$age, by), quantile, c(0.25, 0.5, 0.75), names = FALSE)))
  found
}

curves <- function(by_name) {
  ticks <- seq(0, 30, 6); horizons <- c(6, 12, 18, 24)
  arms <- lapply(levels(data[[by_name]]), function(level) {
    fit <- survfit(Surv(os_months, death) ~ 1, data[data[[by_name]] == level, ], conf.type = "log-log")
    median <- quantile(fit, 0.5)
    at <- summary(fit, times = horizons, extend = TRUE); events <- fit$n.event > 0
    list(n = fit$n, events = sum(fit$n.event), median = unname(median$quantile),
         interval = c(unname(median$lower), unname(median$upper)),
         at_horizons = list(survival = at$surv, lower = at$lower, upper = at$upper),
         at_risk = summary(fit, times = ticks, extend = TRUE)$n.risk,
         times = fit$time[events], survival = fit$surv[events],
         lower = fit$lower[events], upper = fit$upper[events])
  })
  test <- survdiff(reformulate(by_name, "Surv(os_months, death)"), data)
  df <- length(test$n) - 1
  list(arms = arms, chi_square = test$chisq, df = df,
       p = pchisq(test$chisq, df, lower.tail = FALSE))
}

cox <- function(terms) {
  control <- coxph.control(eps = 1e-12, toler.chol = 1e-14, iter.max = 100)
  fit <- coxph(reformulate(terms, "Surv(os_months, death)"), data, ties = "efron", control = control)
  table <- summary(fit)
  list(hazard_ratio = unname(table$conf.int[, 1]), lower = unname(table$conf.int[, 3]),
       upper = unname(table$conf.int[, 4]), p = unname(table$coefficients[, 5]),
       likelihood_ratio = unname(table$logtest["test"]))
}

core <- c("tumor_number", "vascular_invasion", "extrahepatic_metastasis", "treatment", "age")
wilson <- function(k, n) as.vector(prop.test(k, n, correct = FALSE)$conf.int)
reverse <- survfit(Surv(os_months, 1 - death) ~ 1, data)
out <- list(
  versions = list(R = R.version.string, survival = as.character(packageVersion("survival"))),
  characteristics = list(treatment = characteristics("treatment"), site = characteristics("site")),
  curves = list(treatment = curves("treatment"), site = curves("site")),
  alone = sapply(c(core, "site"), cox, simplify = FALSE), together = cox(core),
  fisher = list(table = rbind(c(1, 5), c(9, 5)), p = fisher.test(rbind(c(1, 5), c(9, 5)))$p.value),
  wilson = list(list(count = 14, n = 42, interval = wilson(14, 42)),
                list(count = 30, n = 42, interval = wilson(30, 42)),
                list(count = 1, n = 9, interval = suppressWarnings(wilson(1, 9)))),
  reverse_median = unname(quantile(reverse, 0.5, conf.int = FALSE)))
writeLines(toJSON(out, digits = 15, auto_unbox = TRUE, pretty = TRUE, null = "null", na = "null"),
           "tests/oracle/describe.json")
