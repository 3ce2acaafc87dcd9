# Reference numbers for the inference of Cox models, from R's survival and rms packages.
#
#   Rscript tests/oracle/cox_inference.R        (from the project's folder)
#
# Writes tests/oracle/cox_inference.json and, beside it, the three of R's own data sets it uses (lung,
# veteran, colon: survival package, LGPL) as small tables. For each cohort, with either way of ties:
# coefficients, errors, P values, the tests of the whole model, cox.zph (transform km), sums of the
# residuals, curves on three scales; with a spline Wald's test of its curvature, by rms. Every residual
# is written for one public data set only; of the real cohorts only figures over all patients are.
suppressMessages({library(survival); library(rms); library(jsonlite)})

folder <- Sys.getenv("RISKSCORE_COHORTS", "../shared/cohorts")
days_per_month <- 365.25 / 12
control <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)

sums <- function(r, time) {
  r <- as.matrix(r)
  unname(rbind(colSums(r^2), colSums(pmax(r, 0)^2), colSums(r^2 * time)))
}
test <- function(statistic, df)
  list(chi_square = unname(statistic), df = df, p = unname(pchisq(statistic, df, lower.tail = FALSE)))

describe <- function(data, formula, newdata, ties, spline = NULL, rows = FALSE) {
  environment(formula) <- environment()  # where survfit will look for `data` again
  clustered <- "patient" %in% names(data)
  fit <- if (clustered) coxph(formula, data, ties = ties, cluster = patient, control = control)
         else coxph(formula, data, ties = ties, control = control)
  s <- summary(fit)
  p <- length(coef(fit))
  time <- fit$y[, 1]; event <- fit$y[, 2] == 1
  tests <- list(likelihood_ratio = test(2 * diff(fit$loglik), p), wald = test(fit$wald.test, p),
                score = test(fit$score, p))
  if (clustered) tests$robust_score <- test(fit$rscore, p)
  zph <- cox.zph(fit, transform = "km")
  shown <- plot_smooth(zph)
  at <- sort(unique(time[event]))
  at <- at[round(quantile(seq_along(at), c(0.05, 0.3, 0.6, 0.9), names = FALSE))]
  curves <- lapply(c(`log-log` = "log-log", log = "log", plain = "plain"), function(scale) {
    curve <- summary(survfit(fit, newdata = newdata, conf.type = scale), times = at)
    lapply(list(survival = curve$surv, lower = curve$lower, upper = curve$upper), t)
  })
  out <- list(rows = nrow(data), events = sum(event), coef = unname(coef(fit)),
    se = unname(sqrt(diag(fit$var))),
    se_model_based = unname(sqrt(diag(if (clustered) fit$naive.var else fit$var))),
    hazard_ratio = unname(s$conf.int[, "exp(coef)"]), lower = unname(s$conf.int[, "lower .95"]),
    upper = unname(s$conf.int[, "upper .95"]), p = unname(s$coefficients[, "Pr(>|z|)"]),
    loglik = fit$loglik, tests = tests,
    zph = list(chi_square = unname(zph$table[, 1]), df = unname(zph$table[, 2]), p = unname(zph$table[, 3])),
    zph_residuals = sums(zph$y, zph$time), zph_smooth = shown,
    martingale = sums(residuals(fit, "martingale"), time),
    deviance = sums(residuals(fit, "deviance"), time),
    score = sums(residuals(fit, "score"), time), dfbeta = sums(residuals(fit, "dfbeta"), time),
    times = at, curves = curves, newdata = newdata)
  if (rows) out$each <- list(martingale = unname(residuals(fit, "martingale")),
    deviance = unname(residuals(fit, "deviance")), dfbeta = unname(residuals(fit, "dfbeta")),
    zph = unname(zph$y), zph_time = zph$time, zph_transformed = zph$x)
  if (!is.null(spline)) {
    c <- cph(formula, data, method = ties, x = TRUE, y = TRUE, eps = 1e-12, tol = 1e-14)
    if (clustered) c <- robcov(c, data$patient)
    a <- anova(c)
    row <- which(trimws(rownames(a)) == spline)
    out$spline <- list(predictor = spline, knots = c$Design$parms[[spline]],
      association = test(a[row, 1], a[row, 2]), nonlinear = test(a[row + 1, 1], a[row + 1, 2]))
  }
  out
}

# The curve and band of plot.cox.zph for the first term, by its own lines.
plot_smooth <- function(zph) {
  x <- seq(min(zph$x), max(zph$x), length = 40)
  basis <- splines::ns(c(x, zph$x), df = 4, intercept = TRUE)
  fit <- qr(basis[-(1:40), ])
  back <- backsolve(fit$qr[1:4, 1:4], diag(4))
  list(effect = drop(basis[1:40, ] %*% qr.coef(fit, zph$y[, 1])),
       se = unname(sqrt(zph$var[1, 1] * rowSums((basis[1:40, ] %*% (back %*% t(back))) * basis[1:40, ]))))
}

both <- function(...) list(efron = describe(..., ties = "efron"), breslow = describe(..., ties = "breslow"))

out <- list(versions = list(R = R.version.string, survival = as.character(packageVersion("survival")),
                            rms = as.character(packageVersion("rms"))))

keep <- function(data, name) {
  write.csv(data, file.path("tests/oracle", paste0(name, ".csv")), row.names = FALSE, quote = FALSE)
  data
}
lung <- na.omit(with(survival::lung, data.frame(time, event = status - 1,
  sex = factor(sex, 1:2, c("male", "female")), ph.karno, age)))
lung <- keep(lung, "lung")
out$lung <- both(lung, Surv(time, event) ~ sex + ph.karno + rcs(age, 4), lung[c(1, 10), 3:5], spline = "age")

veteran <- keep(with(survival::veteran, data.frame(time, event = status, trt = factor(trt, 1:2,
  c("standard", "test")), celltype, karno, age)), "veteran")
out$veteran <- both(veteran, Surv(time, event) ~ trt + celltype + karno + log(age), veteran[c(1, 10), 3:6],
                    rows = TRUE)

# Two rows a patient: recurrence and death.
colon <- na.omit(with(survival::colon, data.frame(patient = id, time, event = status, rx, nodes, age)))
colon <- keep(subset(colon, patient <= 450), "colon")
out$colon <- both(colon, Surv(time, event) ~ rx + rcs(nodes, 3) + age, colon[c(1, 20), 4:6],
                  spline = "nodes")

deb <- read.csv("training/published/deb-tace-2021.csv")
levels_of <- list(tumor_number = c("<=3", ">3"), vascular_invasion = c("no", "yes"),
  extrahepatic_metastasis = c("no", "yes"), treatment = c("deb_tace", "deb_tace_sorafenib"))
for (name in names(levels_of)) deb[[name]] <- factor(deb[[name]], levels_of[[name]])
deb$patient <- NULL
out$reconstructed <- both(deb, Surv(os_months, death) ~ tumor_number + vascular_invasion +
  extrahepatic_metastasis + treatment, deb[c(1, 10), names(levels_of)])

seg_file <- file.path(folder, "hcc-tace-seg.csv")
if (file.exists(seg_file)) {
  yes <- function(x) factor(x, 0:1, c("no", "yes"))
  seg <- read.csv(seg_file, na.strings = "")
  data <- data.frame(
    time = seg$OS * 7 / days_per_month, death = seg$Death_1_StillAliveorLostToFU_0,
    tumor_number = factor(seg$tumor_nodul, c("uninodular", "multinodular"), c("single", "multiple")),
    vascular_invasion = yes(seg$Vascular.invasion), metastasis = yes(seg$Metastasis),
    child_class = factor(ifelse(seg$CPS == "A", "A", "B_or_C")), afp = seg$AFP, age = seg$age)
  new <- data.frame(tumor_number = c("single", "multiple"), vascular_invasion = c("no", "yes"),
    metastasis = "no", child_class = c("A", "B_or_C"), afp = c(10, 4000), age = c(70, 55))
  out$hcc_tace_seg <- both(data, Surv(time, death) ~ tumor_number + vascular_invasion + metastasis +
    child_class + log(afp) + rcs(age, 4), new, spline = "age")

  visits <- read.csv(file.path(folder, "survivalpath-hcc-visits.csv"))
  visits <- visits[!duplicated(visits[c("patient", "day")]), ]
  visits <- subset(visits, OStime_day > 0 & Age >= 18 & Age <= 100 &
    Amount.of.Hepatic.Lesions > 0 & Largest.Diameter.of.Hepatic.Lesions > 0)
  data <- with(visits, data.frame(
    patient, day, time = OStime_day / days_per_month, death = Status_of_death,
    tumor_number = factor(Amount.of.Hepatic.Lesions > 1, c(FALSE, TRUE), c("single", "multiple")),
    vascular_invasion = yes(Vascular.Invasion), metastasis = yes(Distant.Metastasis),
    largest_diameter = Largest.Diameter.of.Hepatic.Lesions / 10,
    child_class = factor(ifelse(Child_pugh_score >= 7, "B_or_C", "A")), afp = pmax(AFP, 0.605),
    age = Age))
  formula <- Surv(time, death) ~ tumor_number + vascular_invasion + metastasis +
    rcs(largest_diameter, 4) + child_class + log(afp) + age
  new$largest_diameter <- c(3, 9)
  first <- subset(data, day == 0)
  first$patient <- NULL  # a row a patient: nothing to cluster
  out$survivalpath_first <- both(first, formula, new, spline = "largest_diameter")
  out$survivalpath_all <- both(data, formula, new, spline = "largest_diameter")
}
write_json(out, "tests/oracle/cox_inference.json", digits = NA, auto_unbox = TRUE, pretty = FALSE)
