# Firth's penalised likelihood by direct maximisation in R: the log partial likelihood and the
# information are coxph's at given coefficients, the maximum and the profile are optim's.
#
#   Rscript tests/oracle/firth.R        (from the project's folder)
#
# veteran: `alive` marks every second patient that was censored, so that nobody with it has an event.
# Tied times, Efron and Breslow.
suppressMessages({library(survival); library(jsonlite)})
d <- read.csv("tests/oracle/veteran.csv")
d$alive <- as.numeric(d$event == 0 & cumsum(d$event == 0) %% 2 == 1)
x <- as.matrix(d[c("karno", "age", "alive")])
z <- scale(x)
penalised <- function(b, ties) {
  fit <- coxph(Surv(d$time, d$event) ~ z, init = b, ties = ties,
               control = coxph.control(iter.max = 0, toler.chol = 1e-16))
  fit$loglik[2] - as.numeric(determinant(vcov(fit))$modulus) / 2
}
best <- function(start, value) {
  for (k in 1:6) {
    o <- optim(start, value, method = "BFGS", control = list(fnscale = -1, reltol = 1e-16, maxit = 1000,
               ndeps = rep(1e-4, length(start))))
    start <- o$par
  }
  o
}
out <- lapply(c("efron", "breslow"), function(ties) {
  top <- best(rep(0, 3), function(b) penalised(b, ties))
  se <- sqrt(diag(vcov(coxph(Surv(d$time, d$event) ~ z, init = top$par, ties = ties,
                             control = coxph.control(iter.max = 0)))))
  profile <- function(j, at) {
    o <- best(top$par[-j], function(rest) penalised(append(rest, at, j - 1), ties))
    2 * (top$value - o$value)
  }
  rows <- lapply(1:3, function(j) {
    over <- function(at) profile(j, at) - qchisq(0.95, 1)
    b <- top$par[j]
    list(lower = uniroot(over, c(b - 6 * se[j], b), tol = 1e-9)$root,
         upper = uniroot(over, c(b, b + 6 * se[j]), tol = 1e-9)$root,
         p = pchisq(profile(j, 0), 1, lower.tail = FALSE))
  })
  sd <- attr(z, "scaled:scale")
  list(ties = ties, coef = top$par / sd, se = se / sd,
       lower = sapply(rows, `[[`, "lower") / sd, upper = sapply(rows, `[[`, "upper") / sd,
       p = sapply(rows, `[[`, "p"),
       likelihood_ratio = 2 * (top$value - penalised(rep(0, 3), ties)))
})
write_json(list(versions = list(R = R.version.string, survival = as.character(packageVersion("survival"))),
  terms = colnames(x), fits = out), "tests/oracle/firth.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
