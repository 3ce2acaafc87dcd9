# Where rms::rcs places the knots of awkward values, its basis, and a ridge of R's survival package.
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
write_json(list(versions = list(R = R.version.string, Hmisc = as.character(packageVersion("Hmisc")),
  survival = as.character(packageVersion("survival"))), values = x, found = found, basis = basis,
  ridges = ridges), "tests/oracle/splines.json", digits = NA, auto_unbox = TRUE)
