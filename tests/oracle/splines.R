# Where rms::rcs places the knots of awkward values, its basis, a ridge of R's survival package, and
# Cox models of splines of skewed laboratory values, whose parts are nearly collinear.
#
# spline_cohorts.csv has a column of three data sets of R's survival package (pbc: bilirubin,
# flchain: creatinine, gbsg: progesterone receptor) with time and event.
#
#   Rscript tests/oracle/splines.R        (from the project's folder)
suppressMessages({library(rms); library(jsonlite)})
set.seed(1)
x <- list(
  plain = round(rexp(250), 4), below_100 = round(rnorm(60), 4),
  many_least = c(rep(0, 40), round(runif(160, 1, 9), 4)),
  many_greatest = c(rep(121, 30), round(runif(70, 1, 100), 4)),
  both_ends = c(rep(0, 30), rep(50, 30), round(runif(240, 1, 49), 4)),
  crowded = c(rep(5, 150), 1:20), few = rep(1:6, 20), seven_values = rep(c(1, 2, 3, 5, 8, 13, 21), 12))
found <- list()
for (name in names(x)) for (n in 3:7) {
  knots <- tryCatch(suppressWarnings(Hmisc::rcspline.eval(x[[name]], nk = n, knots.only = TRUE)),
                    error = function(e) NULL)
  found[[length(found) + 1]] <- list(values = name, n_knots = n, knots = as.numeric(knots))
}
k <- c(1, 2.5, 4, 9)
basis <- list(x = c(-3, 1, 2, 2.5, 3.9, 6, 9, 40), knots = k)
basis$columns <- unname(unclass(Hmisc::rcspline.eval(basis$x, knots = k, inclx = TRUE))[, 1:3])

d <- read.csv("tests/oracle/veteran.csv")
z <- sapply(d[c("karno", "age")], function(v) (v - mean(v)) / sqrt(mean((v - mean(v))^2)))
ridges <- lapply(c(1, 10, 100), function(theta) {
  fit <- coxph(Surv(d$time, d$event) ~ ridge(z[, 1], z[, 2], theta = theta, scale = FALSE),
               control = coxph.control(eps = 1e-13, toler.chol = 1e-15, iter.max = 100))
  list(penalty = theta, coef = unname(coef(fit)))
})
# coxph inverts the information of the columns as they are, and with 6 knots keeps 5 digits of a
# standard error; on orthonormal columns it keeps them all.
cohorts <- list(pbc = with(pbc, data.frame(x = bili, time, event = status == 2)),
  flchain = with(flchain, data.frame(x = creatinine, time = futime, event = death == 1)),
  gbsg = with(gbsg, data.frame(x = pgr, time = rfstime, event = status == 1)))
cohorts <- lapply(cohorts, na.omit)
write.csv(do.call(rbind, lapply(names(cohorts), function(n)
  cbind(cohort = n, transform(cohorts[[n]], event = as.integer(event))))),
  "tests/oracle/spline_cohorts.csv", row.names = FALSE, quote = FALSE)
skewed <- list()
for (name in names(cohorts)) for (n in 3:7) {
  d <- cohorts[[name]]
  k <- Hmisc::rcspline.eval(d$x, nk = n, knots.only = TRUE)
  b <- unclass(Hmisc::rcspline.eval(d$x, knots = k, inclx = TRUE))
  parts <- qr(scale(matrix(b, nrow(d))))
  q <- qr.Q(parts) * sqrt(nrow(d))
  back <- diag(1 / apply(b, 2, sd)) %*% backsolve(qr.R(parts), diag(ncol(b))) * sqrt(nrow(d))
  fit <- coxph(Surv(d$time, d$event) ~ q,
               control = coxph.control(eps = 1e-14, toler.chol = 1e-16, iter.max = 100))
  b_hat <- c(back %*% coef(fit)); v <- back %*% vcov(fit) %*% t(back)
  quartiles <- quantile(d$x, c(0.25, 0.75), names = FALSE)
  between <- c(matrix(Hmisc::rcspline.eval(quartiles, knots = k, inclx = TRUE), 2)[2, ] -
               matrix(Hmisc::rcspline.eval(quartiles, knots = k, inclx = TRUE), 2)[1, ])
  wald <- function(j) c(b_hat[j] %*% solve(v[j, j, drop = FALSE], b_hat[j], tol = 1e-30))
  skewed[[length(skewed) + 1]] <- list(quartiles = quartiles, log_hazard_ratio = sum(between * b_hat),
    contrast_se = sqrt(c(between %*% v %*% between)), joint = wald(seq_along(b_hat)),
    nonlinear = wald(seq_along(b_hat)[-1]), cohort = name, n_knots = n, knots = as.numeric(k),
    coef = c(back %*% coef(fit)), se = sqrt(diag(back %*% vcov(fit) %*% t(back))),
    loglik = fit$loglik)
}
write_json(list(versions = list(R = R.version.string, Hmisc = as.character(packageVersion("Hmisc")),
  survival = as.character(packageVersion("survival"))), values = x, found = found, basis = basis,
  ridges = ridges, skewed = skewed), "tests/oracle/splines.json", digits = NA, auto_unbox = TRUE)
