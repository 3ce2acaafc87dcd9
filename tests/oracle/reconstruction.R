# Reference numbers for the reconstructed cohort, from R's survival package.
#
#   Rscript tests/oracle/reconstruction.R        (from the project's folder)
#
# Reads the committed cohort, training/published/deb-tace-2021.csv, and writes
# tests/oracle/reconstruction.json: the multivariable Cox model with Efron's and with Breslow's ties,
# each published effect alone, the log-rank tests, and the Kaplan-Meier medians with log-log intervals.
# The SHA-256 of the cohort is written too: a cohort made anew asks for new numbers.
suppressMessages({library(survival); library(jsonlite)})

path <- "training/published/deb-tace-2021.csv"
cohort <- read.csv(path, colClasses = c(ecog = "character"))
coded <- within(cohort, {
  tumor_number <- as.numeric(tumor_number == ">3")
  vascular_invasion <- as.numeric(vascular_invasion == "yes")
  extrahepatic_metastasis <- as.numeric(extrahepatic_metastasis == "yes")
  treatment <- as.numeric(treatment == "deb_tace_sorafenib")
})
core <- c("extrahepatic_metastasis", "tumor_number", "vascular_invasion", "treatment")

cox <- function(terms, ties) {
  control <- coxph.control(eps = 1e-12, toler.chol = 1e-14, iter.max = 100)
  fit <- coxph(reformulate(terms, "Surv(os_months, death)"), coded, ties = ties, control = control)
  table <- summary(fit)$coefficients
  list(terms = terms, coef = unname(coef(fit)), se = unname(sqrt(diag(vcov(fit)))),
       p = unname(table[, "Pr(>|z|)"]))
}

curves <- function(time, event) {
  data <- data.frame(time = cohort[[time]], event = cohort[[event]], arm = cohort$treatment)
  by_arm <- function(arm) {
    fit <- survfit(Surv(time, event) ~ 1, data[data$arm == arm, ], conf.type = "log-log")
    found <- quantile(fit, 0.5)
    finite <- function(x) if (is.na(x)) NULL else unname(x)
    list(n = fit$n, events = sum(fit$n.event), median = unname(found$quantile),
         lower = finite(found$lower), upper = finite(found$upper),
         times = fit$time[fit$n.event > 0], survival = fit$surv[fit$n.event > 0])
  }
  test <- survdiff(Surv(time, event) ~ arm, data)
  list(arms = sapply(c("deb_tace_sorafenib", "deb_tace"), by_arm, simplify = FALSE),
       chi2 = test$chisq, p = pchisq(test$chisq, 1, lower.tail = FALSE))
}

reverse <- survfit(Surv(os_months, 1 - death) ~ 1, cohort)
out <- list(
  versions = list(R = R.version.string, survival = as.character(packageVersion("survival"))),
  sha256 = strsplit(system2("sha256sum", path, stdout = TRUE), " ")[[1]][1],
  efron = cox(core, "efron"), breslow = cox(core, "breslow"),
  alone = sapply(core, function(term) cox(term, "efron"), simplify = FALSE),
  os = curves("os_months", "death"), ttp = curves("ttp_months", "progression"),
  pfs = curves("pfs_months", "progression_or_death"),
  reverse_median = unname(quantile(reverse, 0.5, conf.int = FALSE)))
writeLines(toJSON(out, digits = 15, auto_unbox = TRUE, pretty = TRUE, null = "null"),
           "tests/oracle/reconstruction.json")
