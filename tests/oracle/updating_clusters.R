# The figures of updating.R where each three rows are one patient's: coxph with cluster for the slope's
# error and the score test of the coefficients; the other robust scores from R's residuals, summed by patient.
suppressMessages({library(survival); library(jsonlite)})
options(digits = 17)
control <- coxph.control(eps = 1e-12, iter.max = 100, toler.chol = 1e-14)
still <- coxph.control(eps = 1e-12, iter.max = 0, toler.chol = 1e-14)
d <- read.csv("tests/oracle/simulated.csv")
d$x1 <- as.numeric(d$tumor_number == ">3"); d$x2 <- as.numeric(d$vascular_invasion == "yes")
d$x3 <- as.numeric(d$extrahepatic_metastasis == "yes")
d$x4 <- as.numeric(d$treatment == "deb_tace_sorafenib")
names <- c("x1", "x2", "x3", "x4", "age")
form <- Surv(os_months, death) ~ x1 + x2 + x3 + x4 + age
old <- d[d$patient %% 2 == 1, ]; new <- d[d$patient %% 2 == 0, ]
new$id <- ceiling(seq_len(nrow(new)) / 3)
parent <- coxph(form, old, ties = "efron", control = control)
base <- basehaz(parent, centered = FALSE)
H0 <- stepfun(base$time, c(0, base$hazard))
limit <- max(old$os_months)
new$lp <- drop(as.matrix(new[names]) %*% coef(parent))
time <- pmin(new$os_months, limit); event <- new$death == 1 & new$os_months <= limit
edges <- c(6, 12, max(time))
from <- c(0, edges[-length(edges)])
expected <- sapply(seq_along(edges), function(k)
  (H0(pmin(time, edges[k])) - H0(pmin(time, from[k]))) * exp(new$lp))
happened <- sapply(seq_along(edges), function(k) event & time > from[k] & time <= edges[k])

robust <- function(score) { # of the rows' scores: summed by patient, against their own products
  s <- rowsum(as.matrix(score), new$id); u <- colSums(s)
  x <- drop(u %*% solve(crossprod(s), u))
  list(chi_square = x, df = length(u), p = pchisq(x, length(u), lower.tail = FALSE))
}
X <- scale(as.matrix(new[names]), scale = FALSE)
beyond <- rowSums(happened) - rowSums(expected)
ratio <- sum(happened) / sum(expected)
left <- rowsum(rowSums(happened) - ratio * rowSums(expected), new$id)

baseline <- coxph(form, new, ties = "efron", control = still, init = coef(parent), cluster = id)
slope <- coxph(Surv(os_months, death) ~ lp, new, ties = "efron", control = control, cluster = id)
at <- coxph(form, new, ties = "efron", control = still, init = coef(slope) * coef(parent))
across <- t(qr.Q(qr(matrix(coef(parent))), complete = TRUE)[, -1])
turned <- resid(at, type = "score") %*% t(across %*% vcov(at))
out <- list(
  clusters = max(new$id),
  large = c(ratio = ratio, se = sqrt(sum(left^2)) / sum(happened), robust(beyond)),
  original = robust(cbind(happened - expected, X * beyond)),
  baseline = list(chi_square = baseline$rscore, df = 5,
                  p = pchisq(baseline$rscore, 5, lower.tail = FALSE)),
  slope_only = robust(turned),
  slope = list(value = unname(coef(slope)), se = sqrt(vcov(slope)[1, 1])),
  versions = list(R = R.version.string, survival = as.character(packageVersion("survival")))
)
write_json(out, "tests/oracle/updating_clusters.json", digits = NA, auto_unbox = TRUE)
