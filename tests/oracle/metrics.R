# Reference numbers for riskscore.metrics: survival, riskRegression, rms.
#
#   Rscript tests/oracle/metrics.R        (from the project's folder)
#
# Writes tests/oracle/metrics.csv (four cohorts with predictions: the reconstructed one with simulated
# predictions, two of R's own with those of a Cox model, one simulated with heavy ties) and
# tests/oracle/metrics.json. Predictions are rounded, so that the file says them exactly.
suppressMessages({library(survival); library(riskRegression); library(rms); library(jsonlite)})
set.seed(20261123)

predictions <- function(name, time, event, group, lp, base, horizons, digits = 4) {
  least <- 10^-digits
  curves <- sapply(base, function(h) pmin(pmax(round(exp(-h * exp(lp)), digits), least), 1 - least))
  data.frame(cohort = name, time, event, group, risk_score = round(lp, 2),
             s1 = curves[, 1], s2 = curves[, 2], s3 = curves[, 3])
}

from_cox <- function(name, data, formula, group, horizons) {
  fit <- coxph(formula, data, x = TRUE)
  base <- summary(survfit(fit), times = horizons)$cumhaz
  y <- fit$y
  # Somewhat too extreme and too high, as a model from elsewhere is.
  lp <- 1.3 * (predict(fit, reference = "sample") - mean(predict(fit, reference = "sample"))) + 0.15
  predictions(name, y[, 1], y[, 2], group, lp, base, horizons)
}

published <- read.csv("training/published/deb-tace-2021.csv")
lp <- with(published, 0.5 * (tumor_number == ">3") + 0.6 * (vascular_invasion == "yes") -
             0.5 * (treatment == "deb_tace_sorafenib") + rnorm(nrow(published), 0, 0.4))
reconstructed <- predictions("reconstructed", published$os_months, published$death,
                             (published$patient - 1) %% 30, lp, c(0.35, 0.8, 1.3), NULL)

lung2 <- na.omit(lung[c("time", "status", "age", "sex", "ph.karno", "inst")])
lung2$event <- lung2$status - 1
lung_ <- from_cox("lung", lung2, Surv(time, event) ~ age + sex + ph.karno, lung2$inst,
                  c(180, 365, 540))
veteran$age <- as.numeric(veteran$age)
veteran_ <- from_cox("veteran", veteran, Surv(time, status) ~ karno + age + celltype,
                     rep(1:46, 3)[seq_len(nrow(veteran))], c(30, 90, 180))

n <- 300
x <- rnorm(n)
death <- ceiling(rexp(n, exp(0.8 * x) / 8))
censored <- sample(3:14, n, TRUE)
tied <- predictions("tied", pmin(death, censored), as.numeric(death <= censored),
                    ceiling(seq_len(n) / 3), x + rnorm(n, 0, 0.3), c(0.3, 0.6, 1.0), NULL, 2)

cohorts <- rbind(reconstructed, lung_, veteran_, tied)
write.csv(cohorts, "tests/oracle/metrics.csv", row.names = FALSE, quote = FALSE)
cohorts <- read.csv("tests/oracle/metrics.csv")  # what the tests read

tidy <- function(fit) c(unname(fit$concordance), sqrt(unname(fit$var)))

describe <- function(d, horizons, thresholds = c(0.1, 0.25, 0.4, 0.6)) {
  control <- coxph.control(eps = 1e-12, toler.chol = 1e-14, iter.max = 100)
  y <- Surv(d$time, d$event)
  last <- horizons[3]
  risk <- as.matrix(1 - d[c("s1", "s2", "s3")])
  # Score reads a numeric matrix as risks at `times`.
  score <- suppressWarnings(Score(list(model = risk), formula = Surv(time, event) ~ 1, data = d,
    times = horizons, metrics = c("auc", "brier"), summary = c("ibs", "ipa"), cens.model = "km",
    contrasts = FALSE, se.fit = TRUE))
  auc <- score$AUC$score
  brier <- as.data.frame(score$Brier$score)
  own <- brier[brier$model == "model", ]
  null <- brier[brier$model == "Null model", ]

  per_horizon <- lapply(1:3, function(k) {
    h <- horizons[k]
    r <- risk[, k]
    cll <- log(-log(1 - r))
    # Administratively censored at the horizon: calibration there sees nothing later.
    until <- Surv(pmin(d$time, h), d$event * (d$time <= h))
    km <- summary(survfit(y ~ 1, conf.type = "log-log"), times = h)
    robust <- summary(survfit(y ~ 1, cluster = d$group, robust = TRUE), times = h)
    slope <- coxph(until ~ cll, control = control)
    slope_robust <- coxph(until ~ cll, cluster = d$group, control = control)
    # Coefficient held at 1: the hazard at cll = 0 over the predicted one.
    fixed <- coxph(until ~ offset(cll), control = control)
    at_zero <- summary(survfit(fixed, newdata = data.frame(cll = 0)), times = h)
    smooth <- lapply(3:4, function(nk) {
      knots <- as.numeric(Hmisc::rcspline.eval(cll, nk = nk, knots.only = TRUE))
      fit <- coxph(until ~ rcs(cll, knots), control = control)
      observed <- 1 - as.numeric(summary(survfit(fit, newdata = data.frame(cll = cll)), times = h)$surv)
      grid <- seq(min(r), max(r), length.out = 50)
      curve <- 1 - as.numeric(summary(
        survfit(fit, newdata = data.frame(cll = log(-log(1 - grid)))), times = h)$surv)
      gap <- abs(observed - r)
      list(knots = knots, ici = mean(gap), e50 = unname(median(gap)),
           e90 = unname(quantile(gap, 0.9)), curve = curve)
    })
    cuts <- unique(quantile(r, (0:5) / 5))
    fifth <- cut(r, cuts, include.lowest = TRUE, labels = FALSE)
    groups <- lapply(sort(unique(fifth)), function(g) {
      fit <- summary(survfit(y[fifth == g] ~ 1, conf.type = "log-log"), times = h, extend = TRUE)
      c(n = sum(fifth == g), predicted = mean(r[fifth == g]), survival = fit$surv, se = fit$std.err,
        lower = fit$lower, upper = fit$upper)
    })
    benefit <- sapply(thresholds, function(p) {
      high <- r >= p - 1e-12  # 1 - 0.9 is meant to be 0.1, and is the last bit below it
      if (!any(high)) return(0)
      fit <- summary(survfit(y[high] ~ 1), times = h, extend = TRUE)
      mean(high) * ((1 - fit$surv) - fit$surv * p / (1 - p))
    })
    list(kaplan_meier = c(km$surv, km$std.err, km$lower, km$upper), clustered_se = robust$std.err,
         slope = c(unname(coef(slope)), sqrt(slope$var[1])), slope_robust_se = sqrt(slope_robust$var[1]),
         intercept = c(log(at_zero$cumhaz), at_zero$std.err / at_zero$surv / at_zero$cumhaz),
         smooth3 = smooth[[1]], smooth4 = smooth[[2]], groups = groups, net_benefit = benefit)
  })
  d_fit <- coxph(y ~ risk_score, d, control = control)
  list(horizons = horizons, n = nrow(d), events = sum(d$event),
       harrell = tidy(concordance(y ~ d$risk_score, reverse = TRUE)),
       harrell_clustered = tidy(concordance(y ~ d$risk_score, reverse = TRUE, cluster = d$group)),
       harrell_ymax = tidy(concordance(y ~ d$risk_score, reverse = TRUE, ymax = last)),
       uno = tidy(concordance(y ~ d$risk_score, reverse = TRUE, timewt = "n/G2")),
       uno_ymax = tidy(concordance(y ~ d$risk_score, reverse = TRUE, timewt = "n/G2", ymax = last)),
       uno_clustered = tidy(concordance(y ~ d$risk_score, reverse = TRUE, timewt = "n/G2",
                                        ymax = last, cluster = d$group)),
       auc = cbind(auc$AUC, auc$se), brier = cbind(own$Brier, own$se),
       null = cbind(null$Brier, null$se), ipa = own$IPA, ibs = own$IBS, null_ibs = null$IBS,
       thresholds = thresholds, per_horizon = per_horizon,
       royston = unname(royston(d_fit, newdata = d)[1:3]))
}

horizons <- list(reconstructed = c(6, 12, 18), lung = c(180, 365, 540), veteran = c(30, 90, 180),
                 tied = c(3, 6, 9))
out <- lapply(names(horizons), function(name) describe(cohorts[cohorts$cohort == name, ], horizons[[name]]))
names(out) <- names(horizons)
versions <- sapply(c("survival", "riskRegression", "prodlim", "rms", "Hmisc"),
                   function(p) as.character(packageVersion(p)))
out$versions <- c(list(R = R.version.string), as.list(versions))
write_json(out, "tests/oracle/metrics.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
