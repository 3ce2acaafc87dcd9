# Internal validation in R: Harrell's optimism by a loop over coxph and riskRegression's Score, on
# resamples that JSON carries to the test; rms::validate on the same and on its own; pooling by REML.
suppressMessages({library(survival); library(rms); library(riskRegression); library(jsonlite)})
set.seed(20261123)
control <- coxph.control(eps = 1e-12, iter.max = 100, toler.chol = 1e-14)
options(digits = 17)

cloglog <- function(p) log(-log1p(-pmin(pmax(p, 1e-6), 1 - 1e-15)))
at <- function(sf, h) stepfun(sf$time, c(0, sf$cumhaz))(h)

# A Cox model's linear predictor (of the mean patient 0), baseline, and Nagelkerke's R2.
fit <- function(d) {
  f <- coxph(Surv(time, event) ~ x1 + x2 + x3, d, ties = "efron", control = control)
  ll <- f$loglik
  list(coef = coef(f), means = f$means, base = survfit(f, se.fit = FALSE),
       r2 = (1 - exp(-2 * (ll[2] - ll[1]) / nrow(d))) / (1 - exp(2 * ll[1] / nrow(d))))
}
lp <- function(f, d) drop(sweep(as.matrix(d[c("x1", "x2", "x3")]), 2, f$means) %*% f$coef)

# Every index of a model's predictions on a data set, at one horizon.
judge <- function(f, d, h, points, r2 = NULL) {
  x <- lp(f, d)
  s <- exp(-at(f$base, h) * exp(x)); risk <- 1 - s
  y <- Surv(d$time, d$event)
  # Over the whole follow-up, and administratively censored at the horizon.
  until <- Surv(pmin(d$time, h), d$event * (d$time <= h))
  line <- coxph(y ~ x, ties = "efron", control = control)
  line_at <- coxph(until ~ x, ties = "efron", control = control)
  if (is.null(r2)) r2 <- (1 - exp(-2 * diff(line$loglik) / nrow(d))) / (1 - exp(2 * line$loglik[1] / nrow(d)))
  km <- survfit(y ~ 1, se.fit = FALSE); observed <- 1 - summary(km, times = h)$surv
  brier <- Score(list(model = matrix(risk)), Surv(time, event) ~ 1, data = data.table::copy(d), times = h,
                 metrics = "brier", cens.model = "km", se.fit = FALSE, contrasts = FALSE,
                 null.model = FALSE)$Brier$score$Brier
  null <- observed * (1 - observed)
  z <- cloglog(risk)
  # rms's default knots; a line where rms would have none
  values <- sort(unique(z)); smooth <- length(values) > 5
  if (smooth) {
    knots <- attr(rcspline.eval(z, nk = 3), "knots")
    basis <- function(v) cbind(v, rcspline.eval(v, knots = knots, norm = 2))
  } else basis <- function(v) cbind(v)
  B <- basis(z); cal <- coxph(until ~ B, ties = "efron", control = control)
  H <- at(survfit(cal, se.fit = FALSE), h)
  curve <- function(v) 1 - exp(-H * exp(drop(sweep(basis(v), 2, cal$means) %*% coef(cal))))
  gap <- abs(curve(z) - risk)
  list(indexes = c(concordance = unname(concordance(y ~ x, reverse = TRUE)$concordance), r2 = unname(r2),
                   slope = unname(coef(line)), slope_at_horizon = unname(coef(line_at)), brier = brier, ipa = 1 - brier / null,
                   observed_expected = observed / mean(risk), ici = mean(gap),
                   e50 = unname(quantile(gap, 0.5)), e90 = unname(quantile(gap, 0.9))),
       curve = if (length(points)) curve(cloglog(points)) else numeric(0), risk = risk)
}

correct <- function(d, h, draws) {
  whole <- fit(d)
  risk <- judge(whole, d, h, numeric(0))$risk
  points <- seq(min(risk), max(risk), length.out = 50)
  apparent <- judge(whole, d, h, points, whole$r2)
  parts <- lapply(seq_len(nrow(draws)), function(b) {
    own <- d[draws[b, ], ]; f <- fit(own)
    mine <- judge(f, own, h, points, f$r2); theirs <- judge(f, d, h, points)
    list(indexes = mine$indexes - theirs$indexes, curve = mine$curve - theirs$curve,
         error = abs(theirs$risk - risk))
  })
  list(apparent = as.list(apparent$indexes), points = points,
       corrected = as.list(apparent$indexes - rowMeans(sapply(parts, `[[`, "indexes"))),
       curve = apparent$curve - rowMeans(sapply(parts, `[[`, "curve")),
       mape = mean(rowMeans(sapply(parts, `[[`, "error"))))
}

simulate <- function(n, digits) {
  x1 <- rbinom(n, 1, 0.4); x2 <- round(rnorm(n), 1); x3 <- rbinom(n, 1, 0.3)
  death <- rweibull(n, 1.3, 14 * exp(-(0.7 * x1 + 0.4 * x2 + 0.3 * x3) / 1.3)); cens <- runif(n, 4, 30)
  data.frame(time = pmax(round(pmin(death, cens), digits), 10^-digits), event = as.integer(death <= cens),
             x1 = x1, x2 = x2, x3 = x3)
}
# rms::validate stops its fits at a relative change of 1e-4 in the log likelihood; patched, at 1e-12.
patched <- eval(parse(text = gsub("1e-04", "1e-12", gsub("iter.max = 10", "iter.max = 100",
                                  deparse(rms:::validate.cph)))), asNamespace("rms"))
by_rms <- function(validate, d, seed, B) {
  set.seed(seed)  # it draws each resample by sample(n, replace = TRUE), and nothing else
  found <- validate(cph(Surv(time, event) ~ x1 + x2 + x3, d, x = TRUE, y = TRUE, eps = 1e-12), B = B)
  list(dxy = found["Dxy", "index.corrected"], r2 = found["R2", "index.corrected"],
       slope = found["Slope", "index.corrected"])
}

cohorts <- list(untied = simulate(120, 4), tied = simulate(120, 0))
out <- lapply(cohorts, function(d) {
  set.seed(7)
  draws <- matrix(sample(nrow(d), 30 * nrow(d), TRUE), 30, byrow = TRUE)
  dd <<- datadist(d); options(datadist = "dd")
  many <- rms::validate(cph(Surv(time, event) ~ x1 + x2 + x3, d, x = TRUE, y = TRUE), B = 2000)
  # rms::calibrate has another smoother (hare), so the curve is compared with the definition alone.
  list(data = d, horizon = 10, draws = draws - 1, found = correct(d, 10, draws),
       rms = list(dxy = many["Dxy", "index.corrected"], r2 = many["R2", "index.corrected"],
                  slope = many["Slope", "index.corrected"], replicates = 2000),
       rms_same = list(patched = by_rms(patched, d, 7, 30), stock = by_rms(rms::validate, d, 7, 30)))
})

# Random effects by REML with Hartung and Knapp's interval, by brute force.
v <- c(0.41, 0.82, 0.10, 0.55, 0.93); se <- c(0.20, 0.15, 0.25, 0.18, 0.22)
reml <- function(log_tau2) {
  w <- 1 / (se^2 + exp(log_tau2)); m <- sum(w * v) / sum(w)
  (sum(log(se^2 + exp(log_tau2))) + log(sum(w)) + sum(w * (v - m)^2)) / 2
}
tau2 <- exp(optimise(reml, c(-12, 2), tol = 1e-10)$minimum)
w <- 1 / (se^2 + tau2); m <- sum(w * v) / sum(w)
hk <- sqrt(sum(w * (v - m)^2) / 4 / sum(w))
out$pooled <- list(values = v, errors = se, mean = m, tau = sqrt(tau2), lower = m - qt(0.975, 4) * hk,
                   upper = m + qt(0.975, 4) * hk, new_lower = m - qt(0.975, 3) * sqrt(tau2 + hk^2))
out$versions <- c(list(R = R.version.string), as.list(sapply(c("survival", "rms", "Hmisc", "riskRegression"),
                  function(p) as.character(packageVersion(p)))))
write_json(out, "tests/oracle/validate.json", digits = NA, auto_unbox = TRUE)
