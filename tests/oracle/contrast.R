# Reference numbers for the difference of two patients' survival, from R's survival package.
#
#   Rscript tests/oracle/contrast.R        (from the project's folder)
#
# survfit gives the standard error of one patient's cumulative hazard, r sqrt(q). The covariance of
# two patients' hazards follows without any formula of ours from a third patient halfway between
# them: q is a quadratic form of the covariates, so cov = r1 r2 (4 q_half - q1 - q2) / 2. The delta
# method then gives the standard error of S1 - S2. Writes tests/oracle/contrast.json.
suppressMessages({library(survival); library(jsonlite)})

control <- coxph.control(eps = 1e-11, toler.chol = 1e-13, iter.max = 100)

# `pairs`: list of two covariate rows each; `at`: times.
contrasts <- function(data, formula, pairs, at, cluster = FALSE, ties = "efron") {
  environment(formula) <- environment()
  fit <- if (cluster) coxph(formula, data, ties = ties, cluster = patient, control = control)
         else coxph(formula, data, ties = ties, control = control)
  hazard <- function(row) {
    curve <- survfit(fit, newdata = row, se.fit = TRUE)
    k <- findInterval(at, curve$time)
    # With one row std.err is of the cumulative hazard.
    list(H = curve$cumhaz[k], se = curve$std.err[k])
  }
  score <- function(row) sum(coef(fit) * unlist(row[names(coef(fit))]))
  lapply(pairs, function(pair) {
    one <- pair[[1]]; two <- pair[[2]]
    half <- one; half[] <- (unlist(one) + unlist(two)) / 2
    a <- hazard(one); b <- hazard(two); h <- hazard(half)
    r1 <- exp(score(one)); r2 <- exp(score(two)); rh <- exp(score(half))
    q1 <- (a$se / r1)^2; q2 <- (b$se / r2)^2; qh <- (h$se / rh)^2
    cov <- r1 * r2 * (4 * qh - q1 - q2) / 2
    S1 <- exp(-a$H); S2 <- exp(-b$H)
    variance <- S1^2 * a$se^2 + S2^2 * b$se^2 - 2 * S1 * S2 * cov
    list(one = one, two = two, times = at, difference = S1 - S2, se = sqrt(variance))
  })
}

coded <- function(frame) within(frame, {
  tumor_number <- as.numeric(tumor_number == ">3")
  vascular_invasion <- as.numeric(vascular_invasion == "yes")
  extrahepatic_metastasis <- as.numeric(extrahepatic_metastasis == "yes")
  treatment <- as.numeric(treatment == "deb_tace_sorafenib")
})
row <- function(n, v, m, t, age = NULL) {
  found <- data.frame(tumor_number = n, vascular_invasion = v, extrahepatic_metastasis = m, treatment = t)
  if (is.null(age)) found else cbind(found, age = age)
}
four <- Surv(os_months, death) ~ tumor_number + vascular_invasion + extrahepatic_metastasis + treatment
five <- Surv(os_months, death) ~ tumor_number + vascular_invasion + extrahepatic_metastasis +
  treatment + age

reconstructed <- coded(read.csv("training/published/deb-tace-2021.csv"))
simulated <- coded(read.csv("tests/oracle/simulated.csv"))
repeated <- simulated
repeated$patient <- (seq_len(nrow(repeated)) + 2) %/% 3

out <- list(
  versions = list(R = R.version.string, survival = as.character(packageVersion("survival"))),
  reconstructed = contrasts(reconstructed, four, list(
    list(row(0, 0, 0, 1), row(0, 0, 0, 0)), list(row(1, 1, 1, 1), row(1, 1, 1, 0)),
    list(row(1, 0, 1, 1), row(1, 0, 1, 0))), c(6, 12, 18, 24, 30.6)),
  breslow = contrasts(reconstructed, four, list(
    list(row(0, 1, 0, 1), row(0, 1, 0, 0))), c(6, 12, 24), ties = "breslow"),
  simulated = contrasts(simulated, five, list(
    list(row(0, 0, 0, 1, 60), row(0, 0, 0, 0, 60)), list(row(1, 1, 0, 1, 45), row(1, 1, 0, 0, 45))),
    c(3, 6, 12, 24)),
  clustered = contrasts(repeated, five, list(
    list(row(0, 0, 0, 1, 60), row(0, 0, 0, 0, 60)), list(row(1, 0, 1, 1, 70), row(1, 0, 1, 0, 70))),
    c(3, 6, 12, 24), cluster = TRUE))
write_json(out, "tests/oracle/contrast.json", digits = 17, auto_unbox = TRUE, pretty = TRUE)
